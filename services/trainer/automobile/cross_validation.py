"""Cross-validation of the recipe: ten folds, five repeats. There are too few rows to hold any out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.trainer.accuracy import measure_coverage, measure_fifths
from services.trainer.automobile.ensemble import Ensemble, Recipe
from services.trainer.datasets.automobiles import Automobiles
from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.interval import calibrate
from services.trainer.progress import report
from services.trainer.session import Prices
from shared.contract.automobile import INPUTS
from shared.registry.model_manifest import Blind, Metrics

FOLDS, REPEATS = 10, 5
_EACH = range(len(INPUTS))


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """The predicted log prices of all N cars, each predicted by ensembles that were not trained on that car.

    `log_price` is [REPEATS, N]. `without_input` [inputs, REPEATS, N] has the log prices with each input
    withheld in turn. `fold` [REPEATS, N] is the number of the fold that each car is in.
    """

    log_price: Floats
    without_input: Floats
    fold: Floats


def cross_validate(cars: Automobiles, recipe: Recipe, *, seed: int, threads: int) -> CrossValidated:
    log_price = np.empty((REPEATS, len(cars)))
    without_input = np.empty((len(INPUTS), REPEATS, len(cars)))
    fold = np.empty((REPEATS, len(cars)))
    for repeat in range(REPEATS):
        report("cross-validate", repeat, REPEATS)
        for number, held_out in enumerate(_folds(len(cars), seed + repeat)):
            ensemble = Ensemble.train(cars, ~held_out, recipe, seed=seed + repeat, threads=threads)
            features = ensemble.codes.features(cars.cat[held_out], cars.num[held_out])
            log_price[repeat, held_out] = ensemble.log_price(features)
            fold[repeat, held_out] = number
            withheld = np.tile(features, (len(INPUTS), 1, 1))
            withheld[_EACH, :, _EACH] = np.nan
            flat = ensemble.log_price(withheld.reshape(-1, len(INPUTS)))
            without_input[:, repeat, held_out] = flat.reshape(len(INPUTS), -1)
    return CrossValidated(log_price, without_input, fold)


def log_half_width(cars: Automobiles, validated: CrossValidated, coverage: float) -> float:
    """Return the log of the interval's half width in log price, the same for every car."""
    return _calibrate(validated.log_price - cars.log_price, coverage)


def compute_metrics(cars: Automobiles, validated: CrossValidated, coverage: float, parity: float) -> Metrics:
    """Compute the metrics as means over the repeats.

    The fifths are those of the first repeat alone, so that each row counts once.
    """
    log_price = cars.log_price
    half_width = _half_widths_without_own_fold(validated, log_price, coverage)
    repeats = [_to_prices(*each) for each in zip(validated.log_price, half_width, strict=True)]
    true, first = cars.price, repeats[0]
    return Metrics(
        r2=_mean(1 - _sum_squares(each.price - true) / _sum_squares(true - true.mean()) for each in repeats),
        mae=_mean(np.abs(each.price - true).mean() for each in repeats),
        mape=_mean((np.abs(each.price - true) / true).mean() for each in repeats),
        coverage=_mean(measure_coverage(each, true) for each in repeats),
        fifths_of_price=measure_fifths(true, first, true),
        fifths_of_predicted_price=measure_fifths(first.price, first, true),
        without_input=tuple(
            _measure_without(name, validated.without_input[k], half_width, true)
            for k, name in enumerate(INPUTS)
        ),
        parity_max_relative_error=parity,
    )


def _folds(rows: int, seed: int) -> Iterator[Mask]:
    fold_of_row = np.random.default_rng(seed).permutation(rows) % FOLDS
    return (fold_of_row == fold for fold in range(FOLDS))


def _half_widths_without_own_fold(validated: CrossValidated, log_price: Floats, coverage: float) -> Floats:
    """Calibrate the interval of each row on the other folds, so that no row widens its interval itself."""
    error = validated.log_price - log_price
    half_width = np.empty_like(error)
    for repeat in range(REPEATS):
        for fold in range(FOLDS):
            own = validated.fold[repeat] == fold
            half_width[repeat, own] = np.exp(_calibrate(error[repeat, ~own], coverage))
    return half_width


def _calibrate(error: Floats, coverage: float) -> float:
    return calibrate(error.ravel(), np.zeros(error.size), coverage)


def _to_prices(log_price: Floats, half_width: Floats) -> Prices:
    return Prices(np.exp(log_price), np.exp(log_price - half_width), np.exp(log_price + half_width))


def _measure_without(name: str, log_price: Floats, half_width: Floats, true: Floats) -> Blind:
    prices = [_to_prices(*each) for each in zip(log_price, half_width, strict=True)]
    return Blind(
        name=name,
        coverage=_mean(measure_coverage(each, true) for each in prices),
        mae=_mean(np.abs(each.price - true).mean() for each in prices),
        median_width=_mean(np.median(each.upper - each.lower) for each in prices),
    )


def _sum_squares(values: Floats) -> float:
    return float((values**2).sum())


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))
