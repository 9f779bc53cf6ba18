"""The features of the trees: words become ordered codes, numbers stay as they are.

A code is the rank of a word by price, so that the trees can split words as they split numbers. This is more
accurate here than LightGBM's built-in categorical splits, and the graph needs only `<=`. The car's model has
two codes: its rank by mean log price, and its rank by the mean residual after age and odometer. Unknown and
missing words are both NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.trainer.datasets.priced_rows import Floats, Mask
from services.trainer.datasets.used_cars import CATEGORICAL, INPUTS, NUMERIC, Listings

Features = NDArray[np.float32]

# The input of each feature, in the order of the trees: five codes, then the numbers.
FEATURE_INPUTS = ("make", "model", "transmission", "fuel_type", "model", *NUMERIC)
FEATURE_INPUT_INDEX = tuple(INPUTS.index(name) for name in FEATURE_INPUTS)
CODE_COLUMNS = FEATURE_INPUT_INDEX[: -len(NUMERIC)]
_RESIDUAL_CODE = 4
_PRIOR_ROWS = 5.0
_YEAR, _ODOMETER_KM = NUMERIC.index("year"), NUMERIC.index("odometer_km")


@dataclass(frozen=True, slots=True)
class Codes:
    """Mappings of canonical words to codes: one mapping for each of the `columns` of `cat`."""

    mappings: tuple[dict[str, float], ...]
    columns: tuple[int, ...] = CODE_COLUMNS

    def features(self, cat: NDArray[np.object_], num: NDArray[np.float32]) -> Features:
        """Return the features [N, codes + numbers] as float32, with the same values as in the graph."""
        nan = float("nan")
        codes = [
            np.array([mapping.get(word, nan) for word in cat[:, column]], dtype=np.float32)
            for column, mapping in zip(self.columns, self.mappings, strict=True)
        ]
        return np.column_stack([*codes, num])


def learn_codes(listings: Listings, rows: Mask) -> Codes:
    """Learn the codes of the words in `rows` from their prices."""
    log_price = listings.log_price[rows]
    num = listings.num[rows].astype(np.float64)
    targets = [log_price] * len(CODE_COLUMNS)
    targets[_RESIDUAL_CODE] = log_price - _predict_from_age_and_distance(num, log_price)
    cat = listings.cat[rows]
    return Codes(
        tuple(
            rank_words(cat[:, column], target) for column, target in zip(CODE_COLUMNS, targets, strict=True)
        )
    )


def mask_inputs(features: Features, withheld: Mask) -> Features:
    """Return a copy of `features` in which the inputs marked in `withheld` [N, 8] are missing (NaN)."""
    masked = features.copy()
    masked[withheld[:, FEATURE_INPUT_INDEX]] = np.nan
    return masked


def _predict_from_age_and_distance(num: Floats, log_price: Floats) -> Floats:
    """Predict the log price from year and odometer alone, by least squares."""
    year, odometer_km = num[:, _YEAR], num[:, _ODOMETER_KM]
    known = np.isfinite(year) & np.isfinite(odometer_km)
    age = year - year[known].mean()
    terms = np.column_stack([np.ones_like(age), age, age**2, odometer_km / 1e5])
    weights, *_ = np.linalg.lstsq(terms[known], log_price[known])
    predicted: Floats = np.where(known, terms @ weights, log_price.mean())
    return predicted


def rank_words(
    words: NDArray[np.object_], target: Floats, prior_rows: float = _PRIOR_ROWS
) -> dict[str, float]:
    """Rank words by the mean `target` of their rows, lowest first.

    The means of rare words are drawn towards the mean of all rows, because a few listings say little about a
    word.
    """
    known = words != ""
    names, codes, counts = np.unique(words[known].astype(str), return_inverse=True, return_counts=True)
    mean = target[known].mean() if known.any() else 0.0
    means = (np.bincount(codes, target[known]) + prior_rows * mean) / (counts + prior_rows)
    ranked = names[np.argsort(means, kind="stable")]
    return {str(name): float(rank) for rank, name in enumerate(ranked)}


def withhold_at_random(rows: int, share: float, rng: np.random.Generator) -> Mask:
    """Mark at least one input of each row at random as withheld.

    If the make of a row is withheld, its model is withheld too.
    """
    withheld = rng.random((rows, len(INPUTS))) < share
    none = np.flatnonzero(~withheld.any(axis=1))
    withheld[none, rng.integers(0, len(INPUTS), len(none))] = True
    return _withhold_models_of_makes(withheld)


def withhold(rows: int, name: str) -> Mask:
    withheld = np.zeros((rows, len(INPUTS)), dtype=bool)
    withheld[:, INPUTS.index(name)] = True
    return _withhold_models_of_makes(withheld)


def _withhold_models_of_makes(withheld: Mask) -> Mask:
    withheld[:, CATEGORICAL.index("model")] |= withheld[:, CATEGORICAL.index("make")]
    return withheld
