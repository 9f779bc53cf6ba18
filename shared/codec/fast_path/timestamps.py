"""Parser from columns of text to columns of timestamps, if every text has one unambiguous form.

The form is RFC 3339 in UTC as most programs write it: `2026-05-01T12:00:00Z`, with up to six fractional
digits, and with `+00:00` allowed instead of `Z`. The record-by-record decoder accepts more forms (and a time
zone per row). It also accepts every text that this parser accepts, and gives the same time. The only
exception is the year 0000: it is out of range, so such a record is decoded again anyway.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.contract.columns import INSTANT

_MIN_LENGTH = len("2026-05-01T12:00:00Z")
_UTC_OFFSET = b"+00:00"
# With these in place, Arrow's parser accepts only digits between them.
_SEPARATORS = ((4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"))


def parse_timestamps(texts: pa.StringArray) -> pa.Array | None:
    """Parse a column of texts; nulls stay null.

    Return None if any text has another form or is not a timestamp.
    """
    present = pc.drop_null(texts) if texts.null_count else texts
    if not len(present):
        return pa.nulls(len(texts), INSTANT)
    if not _have_plain_form(present):
        return None
    try:
        return texts.cast(INSTANT)
    except pa.ArrowInvalid:
        return None


def _have_plain_form(texts: pa.StringArray) -> bool:
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    starts, ends = ends[:-1], ends[1:]
    if int((ends - starts).min()) < _MIN_LENGTH:
        return False
    letters = np.frombuffer(data, np.uint8)
    if not all((letters[starts + place] == ord(letter)).all() for place, letter in _SEPARATORS):
        return False
    zones = np.where(letters[ends - 1] == ord("Z"), 1, len(_UTC_OFFSET))
    if (zones != 1).any() and not _are_utc_offsets(letters, ends[zones != 1]):
        return False
    seconds = starts + _MIN_LENGTH - 1
    digits = ends - zones - seconds - 1
    return bool((((letters[seconds] == ord(".")) & (digits >= 1)) | (digits == -1)).all())


def _are_utc_offsets(letters: np.ndarray, ends: np.ndarray) -> bool:
    return all(
        (letters[ends - len(_UTC_OFFSET) + place] == letter).all() for place, letter in enumerate(_UTC_OFFSET)
    )
