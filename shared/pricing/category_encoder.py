"""Encoding of words as codes of the categories seen in training. Pure.

Case and outer spaces of the words do not matter.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.registry.model_manifest import canonical

Codes = NDArray[np.intp]

# Stands for a word never seen in training: the graph treats every word that is no category alike.
_UNKNOWN_WORD = "<unknown>"
# Senders choose the words, so the number of spellings kept is limited; others are looked up each time.
_MAX_SPELLINGS = 65_536


class _Spellings(dict[str | None, int]):
    """A mapping from spelling to code that is filled as spellings are looked up."""

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
    """The encoder of one categorical input with n known categories.

    The known categories have the codes 0 … n-1, any unknown word has the code n, a missing word n+1.
    """

    def __init__(self, categories: Sequence[str]) -> None:
        self.unknown, self.missing = len(categories), len(categories) + 1
        self.words = np.array([*categories, _UNKNOWN_WORD, ""], dtype=np.object_)
        self._spellings = _Spellings(categories)
        self.code: Callable[[str | None], int] = self._spellings.__getitem__

    def codes(self, column: pa.Array | Sequence[str | None]) -> Codes:
        """Return the code of each row of the column; case and outer spaces do not matter."""
        if isinstance(column, pa.Array):
            return self._encode_arrow(column)
        return self._encode(column, len(column))

    def _encode_arrow(self, column: pa.Array) -> Codes:
        """Return the codes of an Arrow array, looking up each distinct spelling only once."""
        encoded = column.dictionary_encode(null_encoding="encode")
        spellings: list[Any] = encoded.dictionary.to_pylist()
        codes: Codes = self._encode(spellings, len(spellings))[encoded.indices.to_numpy()]
        return codes

    def _encode(self, spellings: Iterable[str | None], count: int) -> Codes:
        return np.fromiter(map(self._spellings.__getitem__, spellings), np.intp, count)
