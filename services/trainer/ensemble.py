"""Two LightGBM ensembles: one for the log price, one for its typical absolute error (the spread)."""

from dataclasses import dataclass
from typing import Self

import lightgbm as lgb
import numpy as np

from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.datasets.used_cars import NUMERIC, Listings
from services.trainer.features import Codes, Features, learn_codes, mask_inputs, withhold_at_random
from services.trainer.progress import report
from services.trainer.split import FOLDS, assign_folds
from services.trainer.trees import Trees
from shared.registry.model_manifest import Parameter

_NUMBER_MONOTONE = {"odometer_km": -1}


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyperparameters of the ensembles; docs/decisions/002 has the measured effect of each."""

    price_trees: int = 60
    price_leaves: int = 1023
    price_learning_rate: float = 0.15
    price_min_rows_a_leaf: int = 10
    spread_trees: int = 20
    spread_leaves: int = 63
    spread_learning_rate: float = 0.25
    spread_min_rows_a_leaf: int = 100
    feature_share: float = 0.7
    row_share: float = 0.8
    bins: int = 511
    max_depth: int = 40
    masked_rows_share: float = 0.25
    masked_inputs_share: float = 0.2
    masked_rows_weight: float = 0.3

    def parameters(self) -> dict[str, Parameter]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Training rows, followed by copies of some of these rows with inputs withheld.

    From the copies the trees learn which branch a missing or unknown input takes, which widens the interval.
    Without the copies such an input would take an arbitrary branch.
    """

    features: Features
    log_price: Floats
    weight: Floats
    fold: Floats

    @classmethod
    def prepare(cls, listings: Listings, rows: Mask, codes: Codes, recipe: Recipe, seed: int) -> Self:
        rng = np.random.default_rng(seed)
        index = np.flatnonzero(rows)
        copied = rng.choice(index, int(len(index) * recipe.masked_rows_share), replace=False)
        source = np.concatenate([index, copied])
        features = codes.features(listings.cat[source], listings.num[source])
        withheld = withhold_at_random(len(copied), recipe.masked_inputs_share, rng)
        features[len(index) :] = mask_inputs(features[len(index) :], withheld)
        weight = np.ones(len(source))
        weight[len(index) :] = recipe.masked_rows_weight
        return cls(features, listings.log_price[source], weight, assign_folds(listings.share[source]))


@dataclass(frozen=True, slots=True)
class Ensembles:
    """The trained ensembles.

    `price` predicts log price minus `base`. `spread` predicts the log of the typical absolute error of the
    predicted log price.
    """

    codes: Codes
    base: float
    price: lgb.Booster
    spread: lgb.Booster

    def price_trees(self) -> Trees:
        return Trees.from_lightgbm(self.price.dump_model(), self.base)

    def spread_trees(self, log_factor: float) -> Trees:
        return Trees.from_lightgbm(self.spread.dump_model(), log_factor)

    def log_price(self, features: Features) -> Floats:
        return self.base + _predict_raw(self.price, features)

    def log_spread(self, features: Features) -> Floats:
        return _predict_raw(self.spread, features)


def train_ensembles(listings: Listings, rows: Mask, recipe: Recipe, *, seed: int, threads: int) -> Ensembles:
    """Train both ensembles on `rows` alone.

    The spread is trained on errors of price ensembles at rows that these ensembles were not trained on:
    errors at an ensemble's training rows are too small.
    """
    codes = learn_codes(listings, rows)
    examples = TrainingSet.prepare(listings, rows, codes, recipe, seed)
    base = float(examples.log_price.mean())
    all_rows = np.ones(len(examples.fold), dtype=bool)
    unseen_error = np.empty(len(examples.fold))
    for fold in range(FOLDS):
        report("train the price ensembles", fold, FOLDS + 1)
        held_out = examples.fold == fold
        booster = _train_price(examples, ~held_out, base, recipe, seed, threads)
        unseen_error[held_out] = (
            examples.log_price[held_out] - base - _predict_raw(booster, examples.features[held_out])
        )
    report("train the price ensembles", FOLDS, FOLDS + 1)
    price = _train_price(examples, all_rows, base, recipe, seed, threads)
    report("train the spread ensemble")
    spread = _train_spread(examples, np.abs(unseen_error), recipe, seed, threads)
    return Ensembles(codes=codes, base=base, price=price, spread=spread)


def _train_price(
    examples: TrainingSet, rows: Mask, base: float, recipe: Recipe, seed: int, threads: int
) -> lgb.Booster:
    codes = examples.features.shape[1] - len(NUMERIC)
    parameters = _shared_parameters(recipe, seed, threads) | {
        "objective": "regression",
        "num_leaves": recipe.price_leaves,
        "learning_rate": recipe.price_learning_rate,
        "min_data_in_leaf": recipe.price_min_rows_a_leaf,
        "feature_fraction": recipe.feature_share,
        "bagging_fraction": recipe.row_share,
        "bagging_freq": 1,
        "monotone_constraints": [0] * codes + [_NUMBER_MONOTONE.get(name, 0) for name in NUMERIC],
        # The only method found to hold: with "advanced" the price rose with the odometer.
        "monotone_constraints_method": "basic",
    }
    data = lgb.Dataset(
        examples.features[rows],
        examples.log_price[rows] - base,
        weight=examples.weight[rows],
        params=parameters,
    )
    return lgb.train(parameters, data, recipe.price_trees)


def _train_spread(
    examples: TrainingSet, error: Floats, recipe: Recipe, seed: int, threads: int
) -> lgb.Booster:
    parameters = _shared_parameters(recipe, seed, threads) | {
        # Its log link keeps the spread above 0, and it weighs relative errors, so every price range counts.
        "objective": "gamma",
        "num_leaves": recipe.spread_leaves,
        "learning_rate": recipe.spread_learning_rate,
        "min_data_in_leaf": recipe.spread_min_rows_a_leaf,
    }
    positive = np.maximum(error, 1e-4)
    data = lgb.Dataset(examples.features, positive, weight=examples.weight, params=parameters)
    return lgb.train(parameters, data, recipe.spread_trees)


def _shared_parameters(recipe: Recipe, seed: int, threads: int) -> dict[str, object]:
    return {
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "max_bin": recipe.bins,
        "max_depth": recipe.max_depth,
        "verbose": -1,
    }


def _predict_raw(booster: lgb.Booster, features: Features) -> Floats:
    raw: Floats = np.asarray(booster.predict(features, raw_score=True), dtype=np.float64)
    return raw
