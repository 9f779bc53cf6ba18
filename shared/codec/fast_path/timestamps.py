"""Texts of instants as columns of instants, where all have a form that nobody reads differently.

That is RFC 3339 in UTC as most programs write it: `2026-05-01T12:00:00Z`, with up to six digits of a second's
fractions, and `+00:00` in place of `Z`. A record's own decoder takes more forms (and a time zone for each
row), one row at a time; what stands here is what it takes too, and as the same instant.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contract.columns import INSTANT

_MIN_LENGTH = len("2026-05-01T12:00:00Z")
# Where these stand, the parser of Arrow leaves no place but for digits.
_SEPARATORS = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"))


def parse_timestamps(texts: pa.StringArray) -> pa.Array | None:
    """The instants; None where any text has another form, or is no instant at all."""
    present = pc.drop_null(texts) if texts.null_count else texts
    if not len(present):
        return pa.nulls(len(texts), INSTANT)
    if not _are_plain(present):
        return None
    try:
        return texts.cast(INSTANT)
    except pa.ArrowInvalid:
        return None


def _are_plain(texts: pa.StringArray) -> bool:
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    starts, ends = ends[:-1], ends[1:]
    if int((ends - starts).min()) < _MIN_LENGTH:
        return False
    letters = np.frombuffer(data, np.uint8)
    if not all((letters[starts + place] == ord(letter)).all() for place, letter in _SEPARATORS):
        return False
    zones = np.where(letters[ends - 1] == ord("Z"), 1, len("+00:00"))
    if (zones != 1).any() and not _are_zero(letters, ends[zones != 1]):
        return False
    seconds = starts + _MIN_LENGTH - 1
    digits = ends - zones - seconds - 1
    return bool((((letters[seconds] == ord(".")) & (digits >= 1)) | (digits == -1)).all())


def _are_zero(letters: np.ndarray, ends: np.ndarray) -> bool:
    zero = b"+00:00"
    return all((letters[ends - len(zero) + place] == letter).all() for place, letter in enumerate(zero))
