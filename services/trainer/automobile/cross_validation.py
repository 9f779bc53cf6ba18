"""How good the recipe is where rows are too few to hold any out: every row judged by ensembles that never
saw it, ten folds, five times over.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.trainer.accuracy import coverage_of, fifths
from services.trainer.automobile.ensemble import Ensemble, Recipe
from services.trainer.datasets.automobiles import Automobiles
from services.trainer.datasets.used_cars import Floats, Mask
from services.trainer.interval import calibrate
from services.trainer.session import Priced
from shared.contract.automobile import INPUTS
from shared.registry.manifest import Blind, Metrics

FOLDS, REPEATS = 10, 5
_EACH = range(len(INPUTS))


@dataclass(frozen=True, slots=True)
class Judged:
    """Log prices [REPEATS, N] of every row, by ensembles that had not seen it; `without_input`
    [inputs, REPEATS, N] with each input withheld in turn; `fold` [REPEATS, N].
    """

    log_price: Floats
    without_input: Floats
    fold: Floats


def judge(cars: Automobiles, recipe: Recipe, *, seed: int, threads: int) -> Judged:
    log_price = np.empty((REPEATS, len(cars)))
    without_input = np.empty((len(INPUTS), REPEATS, len(cars)))
    fold = np.empty((REPEATS, len(cars)))
    for repeat in range(REPEATS):
        for number, judged in enumerate(_folds(len(cars), seed + repeat)):
            ensemble = Ensemble.grow(cars, ~judged, recipe, seed=seed + repeat, threads=threads)
            features = ensemble.codes.features(cars.cat[judged], cars.num[judged])
            log_price[repeat, judged] = ensemble.log_price(features)
            fold[repeat, judged] = number
            withheld = np.tile(features, (len(INPUTS), 1, 1))
            withheld[_EACH, :, _EACH] = np.nan
            flat = ensemble.log_price(withheld.reshape(-1, len(INPUTS)))
            without_input[:, repeat, judged] = flat.reshape(len(INPUTS), -1)
    return Judged(log_price, without_input, fold)


def log_half_width(cars: Automobiles, judged: Judged, coverage: float) -> float:
    """The log of the interval's half width in log price, the same for every car."""
    return _calibrated(judged.log_price - cars.log_price, coverage)


def metrics_of(cars: Automobiles, judged: Judged, coverage: float, parity: float) -> Metrics:
    """Means over the repeats; the fifths are of the first, so that each counts a row once."""
    log_price = cars.log_price
    half_width = _half_widths_of_others(judged, log_price, coverage)
    repeats = [_priced(*each) for each in zip(judged.log_price, half_width, strict=True)]
    true, first = cars.price, repeats[0]
    return Metrics(
        r2=_mean(1 - _squares(each.price - true) / _squares(true - true.mean()) for each in repeats),
        mae=_mean(np.abs(each.price - true).mean() for each in repeats),
        mape=_mean((np.abs(each.price - true) / true).mean() for each in repeats),
        coverage=_mean(coverage_of(each, true) for each in repeats),
        fifths_of_price=fifths(true, first, true),
        fifths_of_predicted_price=fifths(first.price, first, true),
        without_input=tuple(
            _blind(name, judged.without_input[k], half_width, true) for k, name in enumerate(INPUTS)
        ),
        parity_max_relative_error=parity,
    )


def _folds(rows: int, seed: int) -> Iterator[Mask]:
    place = np.random.default_rng(seed).permutation(rows) % FOLDS
    return (place == fold for fold in range(FOLDS))


def _half_widths_of_others(judged: Judged, log_price: Floats, coverage: float) -> Floats:
    """Of every row, calibrated on the folds that it is not in: a row must not widen its own interval."""
    error = judged.log_price - log_price
    half_width = np.empty_like(error)
    for repeat in range(REPEATS):
        for fold in range(FOLDS):
            own = judged.fold[repeat] == fold
            half_width[repeat, own] = np.exp(_calibrated(error[repeat, ~own], coverage))
    return half_width


def _calibrated(error: Floats, coverage: float) -> float:
    return calibrate(error.ravel(), np.zeros(error.size), coverage)


def _priced(log_price: Floats, half_width: Floats) -> Priced:
    return Priced(np.exp(log_price), np.exp(log_price - half_width), np.exp(log_price + half_width))


def _blind(name: str, log_price: Floats, half_width: Floats, true: Floats) -> Blind:
    priced = [_priced(*each) for each in zip(log_price, half_width, strict=True)]
    return Blind(
        name=name,
        coverage=_mean(coverage_of(each, true) for each in priced),
        mae=_mean(np.abs(each.price - true).mean() for each in priced),
        median_width=_mean(np.median(each.upper - each.lower) for each in priced),
    )


def _squares(values: Floats) -> float:
    return float((values**2).sum())


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))
