"""From what a vehicle reports to what the trees see: words become ordered codes, numbers stay themselves.

A code is the rank of its word by price, so that the trees can split words as they split numbers: more
accurate here than LightGBM's own categorical splits, and the graph needs only `<=`. The model is coded twice:
by its mean log price, and by what remains of it once age and odometer are accounted for. Unknown and missing
are both NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.trainer.datasets.used_cars import CATEGORICAL, INPUTS, NUMERIC, Floats, Listings, Mask

Features = NDArray[np.float32]

# Each feature's input, in the order in which the trees count them: five codes, then the numbers.
FEATURE_INPUTS = ("make", "model", "transmission", "fuel_type", "model", *NUMERIC)
FEATURE_INPUT_INDEX = tuple(INPUTS.index(name) for name in FEATURE_INPUTS)
CODE_COLUMNS = FEATURE_INPUT_INDEX[: -len(NUMERIC)]
_RESIDUAL_CODE = 4
_PRIOR_ROWS = 5.0
_YEAR, _ODOMETER_KM = NUMERIC.index("year"), NUMERIC.index("odometer_km")


@dataclass(frozen=True, slots=True)
class Codes:
    """One mapping of canonical word to code for each of `columns` of `cat`."""

    mappings: tuple[dict[str, float], ...]
    columns: tuple[int, ...] = CODE_COLUMNS

    def features(self, cat: NDArray[np.object_], num: NDArray[np.float32]) -> Features:
        """float32 [N, codes + numbers]: the same numbers as the graph derives from the same inputs."""
        nan = float("nan")
        codes = [
            np.array([mapping.get(word, nan) for word in cat[:, column]], dtype=np.float32)
            for column, mapping in zip(self.columns, self.mappings, strict=True)
        ]
        return np.column_stack([*codes, num])


def learn_codes(listings: Listings, rows: Mask) -> Codes:
    """Order the words of `rows` by their prices."""
    log_price = listings.log_price[rows]
    num = listings.num[rows].astype(np.float64)
    targets = [log_price] * len(CODE_COLUMNS)
    targets[_RESIDUAL_CODE] = log_price - _age_and_use(num, log_price)
    cat = listings.cat[rows]
    return Codes(
        tuple(ranks(cat[:, column], target) for column, target in zip(CODE_COLUMNS, targets, strict=True))
    )


def mask_inputs(features: Features, withheld: Mask) -> Features:
    """A copy in which the inputs named by `withheld` [N, 8] are missing."""
    masked = features.copy()
    masked[withheld[:, FEATURE_INPUT_INDEX]] = np.nan
    return masked


def _age_and_use(num: Floats, log_price: Floats) -> Floats:
    """What year and odometer alone say of the log price, by least squares."""
    year, odometer_km = num[:, _YEAR], num[:, _ODOMETER_KM]
    known = np.isfinite(year) & np.isfinite(odometer_km)
    age = year - year[known].mean()
    terms = np.column_stack([np.ones_like(age), age, age**2, odometer_km / 1e5])
    weights, *_ = np.linalg.lstsq(terms[known], log_price[known])
    explained: Floats = np.where(known, terms @ weights, log_price.mean())
    return explained


def ranks(words: NDArray[np.object_], target: Floats, prior_rows: float = _PRIOR_ROWS) -> dict[str, float]:
    """Words ordered by the mean of `target`; rare ones are drawn to the mean of all: a single listing says
    little of its model.
    """
    known = words != ""
    names, codes, counts = np.unique(words[known].astype(str), return_inverse=True, return_counts=True)
    mean = target[known].mean() if known.any() else 0.0
    means = (np.bincount(codes, target[known]) + prior_rows * mean) / (counts + prior_rows)
    ranked = names[np.argsort(means, kind="stable")]
    return {str(name): float(rank) for rank, name in enumerate(ranked)}


def withhold_at_random(rows: int, share: float, rng: np.random.Generator) -> Mask:
    """For each row at least one withheld input; without its make a vehicle has no model either."""
    withheld = rng.random((rows, len(INPUTS))) < share
    none = np.flatnonzero(~withheld.any(axis=1))
    withheld[none, rng.integers(0, len(INPUTS), len(none))] = True
    return _with_model(withheld)


def withhold(rows: int, name: str) -> Mask:
    withheld = np.zeros((rows, len(INPUTS)), dtype=bool)
    withheld[:, INPUTS.index(name)] = True
    return _with_model(withheld)


def _with_model(withheld: Mask) -> Mask:
    withheld[:, CATEGORICAL.index("model")] |= withheld[:, CATEGORICAL.index("make")]
    return withheld
