"""The model's inputs for a few rows, made row by row. Pure.

The words, numbers and flags are the same as those that `Pricer` makes from whole columns. With columns,
numpy's fixed cost per call is five times the cost of running the model, which would slow down a single
vehicle over HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shared.pricing.category_encoder import CategoryEncoder

# With more rows, columns are cheaper.
MAX_ROWS = 32

Inputs = tuple[NDArray[np.object_], NDArray[np.float32], NDArray[np.intp]]


class SmallBatch:
    """A maker of the model's inputs for a few rows."""

    def __init__(
        self,
        words: Mapping[str, CategoryEncoder],
        numbers: Sequence[str],
        bounds: Sequence[tuple[float, float]],
        pairs: NDArray[np.bool_],
    ) -> None:
        """Make the maker of inputs.

        `bounds` holds the range of each number in training, as float32, ends included. `pairs` holds, by
        codes, whether training saw each make with each model; a missing word goes with every other.
        """
        self._words = tuple((name, one.code, one.words.tolist(), one.unknown) for name, one in words.items())
        self._numbers = tuple(numbers)
        self._bounds = tuple(bounds)
        self._make, self._model = list(words).index("make"), list(words).index("model")
        self._pairs = {(int(make), int(model)) for make, model in np.argwhere(pairs)}

    def inputs(self, columns: Mapping[str, Sequence[Any]]) -> Inputs:
        """Return the model's inputs for all rows: categories `cat`, numbers `num` and flags.

        None in a row means that the value is missing. Bit k of a row's flags is set if training never saw the
        value of field k.
        """
        num = np.array([columns[name] for name in self._numbers], dtype=np.float32).T
        cat = np.empty((len(num), len(self._words)), dtype=np.object_)
        flags = [0] * len(num)
        coded = []
        for k, (name, code_of, words, unknown) in enumerate(self._words):
            codes = [code_of(spelling) for spelling in columns[name]]
            coded.append(codes)
            for row, code in enumerate(codes):
                cat[row, k] = words[code]
                if code == unknown:
                    flags[row] |= 1 << k
        for row, pair in enumerate(zip(coded[self._make], coded[self._model], strict=True)):
            if pair not in self._pairs:
                flags[row] |= 1 << self._model
        for row, values in enumerate(num.tolist()):
            flags[row] |= self._unseen_numbers(values)
        return cat, np.ascontiguousarray(num), np.array(flags, dtype=np.intp)

    def one(self, record: Struct) -> tuple[NDArray[np.object_], NDArray[np.float32], int]:
        """Return the model's inputs for one record: categories `cat`, numbers `num` and flags.

        The record must have the fields of the contract.
        """
        flags, codes, cat = 0, [], []
        for k, (name, code_of, words, unknown) in enumerate(self._words):
            code = code_of(getattr(record, name))
            codes.append(code)
            cat.append(words[code])
            if code == unknown:
                flags |= 1 << k
        if (codes[self._make], codes[self._model]) not in self._pairs:
            flags |= 1 << self._model
        num = np.array([[getattr(record, name) for name in self._numbers]], dtype=np.float32)
        flags |= self._unseen_numbers(num[0].tolist())
        return np.array([cat], dtype=np.object_), num, flags

    def _unseen_numbers(self, values: Sequence[float]) -> int:
        flags = 0
        for bit, (value, (low, high)) in enumerate(
            zip(values, self._bounds, strict=True), start=len(self._words)
        ):
            # Comparisons with NaN are false, so that a missing number is not unseen.
            if value < low or value > high:
                flags |= 1 << bit
        return flags
