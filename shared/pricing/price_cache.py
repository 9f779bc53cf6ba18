"""Prices that were computed before: vehicles that the model cannot tell apart are priced once.

A price is a step function of a vehicle's numbers. As a vehicle drives, its odometer passes one of the model's
thresholds every few hundred kilometres, so nearly every reading of a fleet has a price that is known already,
to the last bit.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.pricing.category_encoder import Codes
from shared.pricing.graph_thresholds import Thresholds

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.intp]
Rows = NDArray[np.intp]

# About 150 bytes each; where they are full, all are forgotten.
_MAX_KNOWN = 65_536


class ThresholdGrid:
    """Numbers vehicles by what the model can tell apart: words by code, numbers by the thresholds between."""

    def __init__(
        self, words: Mapping[str, int], thresholds: Thresholds, ranges: Sequence[NDArray[np.float32]]
    ) -> None:
        """`words`: how many codes each has; `ranges`: least and most seen in training, which flags tell."""
        self._words = dict(words)
        self._thresholds = tuple(
            np.unique(np.array([*steps, np.nextafter(least, np.float32(-np.inf)), most], dtype=np.float32))
            for steps, least, most in zip(thresholds, *ranges, strict=True)
        )

    @property
    def count(self) -> int:
        """How many there are: they are numbers of 63 bits only where these do."""
        return math.prod([*self._words.values(), *(len(one) + 2 for one in self._thresholds)])

    def of(self, codes: Mapping[str, Codes], num: NDArray[np.float32]) -> Keys:
        """The cell of every row of codes and numbers [N, m]."""
        keys: Keys = np.zeros(len(num), dtype=np.int64)
        for name, count in self._words.items():
            keys *= count
            keys += codes[name]
        for thresholds, column in zip(self._thresholds, num.T, strict=True):
            keys *= len(thresholds) + 2
            keys += np.searchsorted(thresholds, column)
            keys += np.isnan(column)  # a missing number is sorted as the largest are, but priced by itself
        return keys


@dataclass(frozen=True, slots=True)
class Known:
    """Price, lower and upper [3, N] and flags [N] of so many vehicles."""

    money: Floats
    flags: Flags


class PriceCache:
    """Of one version of the model: what one vehicle of a cell was priced at is the price of all in it."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._money = np.empty((3, _MAX_KNOWN), dtype=np.float64)
        self._flags = np.empty(_MAX_KNOWN, dtype=np.intp)

    def of(self, keys: Keys, price: Callable[[Rows], Known]) -> Known:
        """Of a vehicle in each cell of `keys`; `price` is asked for the rows of those not known yet."""
        encoded = pa.array(keys).dictionary_encode()
        cells, kinds = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        if len(self._places) + len(cells) > _MAX_KNOWN:
            self._places.clear()
            if len(cells) > _MAX_KNOWN:
                return price(np.arange(len(keys)))
        places = np.fromiter((self._places.get(cell, -1) for cell in cells), np.intp, len(cells))
        new = np.flatnonzero(places < 0)
        if len(new):
            row_of = np.empty(len(cells), dtype=np.intp)
            row_of[kinds] = np.arange(len(keys))
            places[new] = self._added([cells[one] for one in new.tolist()], price(row_of[new]))
        rows = places[kinds]
        return Known(self._money[:, rows], self._flags[rows])

    def _added(self, cells: Sequence[int], known: Known) -> Rows:
        start = len(self._places)
        rows = np.arange(start, start + len(cells))
        self._money[:, rows], self._flags[rows] = known.money, known.flags
        self._places.update(zip(cells, rows.tolist(), strict=True))
        return rows
