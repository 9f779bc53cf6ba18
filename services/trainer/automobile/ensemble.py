"""One LightGBM ensemble for the log price of a 1985 automobile."""

from dataclasses import dataclass
from typing import Self

import lightgbm as lgb
import numpy as np

from services.trainer.automobile.spelling_codes import add_spellings
from services.trainer.datasets.automobiles import Automobiles
from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.features import Codes, Features, rank_words
from services.trainer.trees import Trees
from shared.contract.automobile import INPUTS, WORDS
from shared.registry.model_manifest import Parameter


@dataclass(frozen=True, slots=True)
class Recipe:
    """The hyperparameters: small trees with few inputs at each split, as there are only 201 training rows.

    Training also on copies with inputs withheld lowers the error for a car without its weight from about
    3,100 to 1,450 USD, at no cost.
    """

    trees: int = 250
    leaves: int = 15
    learning_rate: float = 0.07
    min_rows_a_leaf: int = 3
    input_share_a_split: float = 0.2
    row_share: float = 0.8
    prior_rows: float = 3.0
    masked_copies: int = 2
    masked_inputs_share: float = 0.2
    masked_rows_weight: float = 0.3

    def parameters(self) -> dict[str, Parameter]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The trained ensemble and its word codes; `booster` predicts log price minus `base`."""

    codes: Codes
    base: float
    booster: lgb.Booster

    @classmethod
    def train(cls, cars: Automobiles, rows: Mask, recipe: Recipe, *, seed: int, threads: int) -> Self:
        """Train on `rows` alone. The codes of the words are learned from `rows` too."""
        log_price = cars.log_price[rows]
        codes = _learn_codes(cars, rows, recipe)
        seen = codes.features(cars.cat[rows], cars.num[rows])
        base = float(log_price.mean())
        copies = recipe.masked_copies
        features = np.concatenate([seen, _mask_at_random(np.tile(seen, (copies, 1)), recipe, seed)])
        weight = np.ones(len(features))
        weight[len(seen) :] = recipe.masked_rows_weight
        parameters = _parameters(recipe, seed, threads)
        data = lgb.Dataset(features, np.tile(log_price - base, copies + 1), weight=weight, params=parameters)
        return cls(codes, base, lgb.train(parameters, data, recipe.trees))

    def log_price(self, features: Features) -> Floats:
        raw: Floats = np.asarray(self.booster.predict(features), dtype=np.float64)
        return self.base + raw

    def trees(self) -> Trees:
        return Trees.from_lightgbm(self.booster.dump_model(), self.base)


def _learn_codes(cars: Automobiles, rows: Mask, recipe: Recipe) -> Codes:
    cat, log_price = cars.cat[rows], cars.log_price[rows]
    columns = tuple(range(len(WORDS)))
    mappings = (add_spellings(rank_words(cat[:, k], log_price, recipe.prior_rows)) for k in columns)
    return Codes(tuple(mappings), columns)


def _mask_at_random(features: Features, recipe: Recipe, seed: int) -> Features:
    withheld = np.random.default_rng(seed).random((len(features), len(INPUTS))) < recipe.masked_inputs_share
    return np.where(withheld, np.float32(np.nan), features)


def _parameters(recipe: Recipe, seed: int, threads: int) -> dict[str, object]:
    return {
        "objective": "regression",
        "num_leaves": recipe.leaves,
        "learning_rate": recipe.learning_rate,
        "min_data_in_leaf": recipe.min_rows_a_leaf,
        "feature_fraction_bynode": recipe.input_share_a_split,
        "bagging_fraction": recipe.row_share,
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbose": -1,
    }
