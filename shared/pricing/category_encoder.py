"""Words as senders spell them → codes of the categories that training saw (pure)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.registry.manifest import canonical

Codes = NDArray[np.intp]

# What the graph is given for a word that training never saw: any word that is no category will do.
_UNKNOWN_WORD = "<unknown>"
# Senders choose the words: beyond this many spellings they are looked up anew each time.
_MAX_SPELLINGS = 65_536


class _Spellings(dict[str | None, int]):
    """Spelling → code, filled as spellings are met."""

    def __init__(self, categories: Sequence[str]) -> None:
        super().__init__({None: len(categories) + 1})
        self._categories = {word: code for code, word in enumerate(categories)}
        self._unknown = len(categories)
        self._missing = len(categories) + 1

    def __missing__(self, spelling: str | None) -> int:
        word = canonical(spelling or "")
        code = self._categories.get(word, self._unknown) if word else self._missing
        if len(self) < _MAX_SPELLINGS:
            self[spelling] = code
        return code


class CategoryEncoder:
    """One categorical input: known categories are coded 0 … n-1, an unknown word n, a missing one n+1."""

    def __init__(self, categories: Sequence[str]) -> None:
        self.known = len(categories)
        self.words = np.array([*categories, _UNKNOWN_WORD, ""], dtype=np.object_)
        self._spellings = _Spellings(categories)
        self.code: Callable[[str | None], int] = self._spellings.__getitem__

    def codes(self, column: pa.Array | Sequence[str | None]) -> Codes:
        """The code of every row, whatever the case and outer spaces."""
        if isinstance(column, pa.Array):
            return self._codes_of_arrow(column)
        return self._codes_of(column, len(column))

    def _codes_of_arrow(self, column: pa.Array) -> Codes:
        """Each distinct spelling is looked up once."""
        encoded = column.dictionary_encode(null_encoding="encode")
        spellings: list[Any] = encoded.dictionary.to_pylist()
        codes: Codes = self._codes_of(spellings, len(spellings))[encoded.indices.to_numpy()]
        return codes

    def _codes_of(self, spellings: Iterable[str | None], count: int) -> Codes:
        return np.fromiter(map(self._spellings.__getitem__, spellings), np.intp, count)
