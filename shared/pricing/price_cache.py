"""A cache of prices: vehicles that the model cannot tell apart are priced only once.

A price is a step function of a vehicle's numbers. The odometer of a driving vehicle passes one of the model's
thresholds only every few hundred kilometres. So for nearly every reading of a fleet the same price, to the
last bit, has been computed before.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.pricing.category_encoder import Codes
from shared.pricing.graph_thresholds import Thresholds

Cells = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.intp]
Rows = NDArray[np.intp]

# Prices of about 150 bytes each; a full cache is emptied.
_MAX_PRICES = 65_536


class ThresholdGrid:
    """The grid whose cells hold the vehicles that the model cannot tell apart.

    All vehicles of a cell have the same codes of words, and their numbers lie between the same thresholds.
    """

    def __init__(
        self, words: Mapping[str, int], thresholds: Thresholds, ranges: Sequence[NDArray[np.float32]]
    ) -> None:
        """Make the grid.

        `words` gives the number of codes of each categorical input, `ranges` the minima and the maxima of the
        numbers in training. A number outside its range is flagged, so the ends of the range are thresholds
        too.
        """
        self._words = dict(words)
        self._thresholds = tuple(
            np.unique(np.array([*steps, np.nextafter(low, np.float32(-np.inf)), high], dtype=np.float32))
            for steps, low, high in zip(thresholds, *ranges, strict=True)
        )

    @property
    def count(self) -> int:
        """The number of cells, which may be too large for an int64."""
        return math.prod([*self._words.values(), *(len(one) + 2 for one in self._thresholds)])

    def cells(self, codes: Mapping[str, Codes], num: NDArray[np.float32]) -> Cells:
        """Return the cell of each row, given the codes of the words and the numbers [N, m]."""
        cells: Cells = np.zeros(len(num), dtype=np.int64)
        for name, count in self._words.items():
            cells *= count
            cells += codes[name]
        for thresholds, column in zip(self._thresholds, num.T, strict=True):
            cells *= len(thresholds) + 2
            cells += np.searchsorted(thresholds, column)
            cells += np.isnan(column)  # NaN is sorted with the largest numbers, but has a cell of its own
        return cells


@dataclass(frozen=True, slots=True)
class RowPrices:
    """The prices and flags of N vehicles: `money` [3, N] holds price, lower and upper; `flags` is [N]."""

    money: Floats
    flags: Flags


class PriceCache:
    """The prices of one version of the model, stored by cell: all vehicles of a cell have the same price."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._money = np.empty((3, _MAX_PRICES), dtype=np.float64)
        self._flags = np.empty(_MAX_PRICES, dtype=np.intp)

    def get_or_price(self, cells: Cells, price: Callable[[Rows], RowPrices]) -> RowPrices:
        """Return the prices of the vehicles whose cells are `cells`, in that order.

        For cells that are not in the cache, `price` is called with the rows to be priced, one for each such
        cell. If there are more distinct cells than the cache can hold, it is called with all rows.
        """
        encoded = pa.array(cells).dictionary_encode()
        distinct, index = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        if len(self._places) + len(distinct) > _MAX_PRICES:
            self._places.clear()
            if len(distinct) > _MAX_PRICES:
                return price(np.arange(len(cells)))
        places = np.fromiter((self._places.get(cell, -1) for cell in distinct), np.intp, len(distinct))
        new = np.flatnonzero(places < 0)
        if len(new):
            row_of = np.empty(len(distinct), dtype=np.intp)
            row_of[index] = np.arange(len(cells))
            places[new] = self._add([distinct[one] for one in new.tolist()], price(row_of[new]))
        rows = places[index]
        return RowPrices(self._money[:, rows], self._flags[rows])

    def _add(self, cells: Sequence[int], prices: RowPrices) -> Rows:
        """Store the prices of new cells and return the places where they are stored."""
        start = len(self._places)
        rows = np.arange(start, start + len(cells))
        self._money[:, rows], self._flags[rows] = prices.money, prices.flags
        self._places.update(zip(cells, rows.tolist(), strict=True))
        return rows
