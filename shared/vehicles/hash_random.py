"""Numbers that look random and depend only on their keys. Pure.

The numbers come from SplitMix64's finalizer (Steele, Lea, Flood 2014) over a running hash of the keys. There
is no generator state: the value for vehicle 7, trip 900 needs none of the earlier trips.
"""

from typing import SupportsInt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TWO_53 = 2.0**-53


def uniform(*keys: SupportsInt | Ints) -> Floats:
    """Return a value in [0, 1) for each combination of the keys. A key is an integer or an integer array."""
    state = np.zeros(1, np.uint64)
    for key in keys:
        word = np.asarray(key).astype(np.uint64)
        state = _mix((state ^ word) + _GAMMA)
    return (state >> np.uint64(11)).astype(np.float64) * _TWO_53


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * _FIRST_FACTOR
    words = (words ^ (words >> np.uint64(27))) * _SECOND_FACTOR
    return words ^ (words >> np.uint64(31))
