"""Decoders of JSON records exactly as the contract declares them; others are left to the careful path."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.contract.field_types import EARLIEST, LATEST

_NEWLINE, _RETURN, _OPENING, _CLOSING = b"\n\r{}"
MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)


class RecordDecoder:
    """Decoder of JSON records that have no unknown field and no value out of bounds."""

    def __init__(self, contract: Contract) -> None:
        self._json = msgspec.json.Decoder(contract.record)
        self.decode = self._json.decode  # raises MALFORMED; does not check the range of timestamps
        self._timestamps = [
            (f.name, _timestamp_getter(f)) for f in contract.schema if pa.types.is_timestamp(f.type)
        ]

    def is_record(self, body: bytes) -> bool:
        try:
            return self.find_out_of_range((self.decode(body),)) is None
        except MALFORMED:
            return False

    def find_out_of_range(self, records: Sequence[Struct]) -> tuple[int, str] | None:
        """Return the row and the field of the first timestamp out of range, or None if there is none.

        This check is separate because a declared record type cannot bound timestamps.
        """
        found = [
            (row, name)
            for name, timestamp in self._timestamps
            if records and (min(map(timestamp, records)) < EARLIEST or max(map(timestamp, records)) > LATEST)
            for row, record in enumerate(records)
            if not EARLIEST <= timestamp(record) <= LATEST
        ]
        return min(found, default=None)

    def decode_lines(self, body: bytes) -> list[Struct] | None:
        """Decode a body in which every line is one record, with all timestamps in range.

        Return None for any other body.
        """
        records = decode_ndjson(body, self._json.decode_lines)
        return None if not records or self.find_out_of_range(records) else records


def decode_ndjson(body: bytes, decode_values: Callable[[bytes], list[Struct]]) -> list[Struct] | None:
    """Decode a body in which every line is one record. Return None for any other body.

    The range of timestamps is not checked. `decode_values` ignores newlines: it accepts two values on one
    line, and one value over two lines. But if every line starts with `{` and ends with `}`, no value crosses
    a newline, because within a value no `{` follows a `}` directly. If there are then as many values as
    lines, each line holds exactly one value.
    """
    text = body.removesuffix(b"\n").removesuffix(b"\r")
    if not (text.startswith(b"{") and text.endswith(b"}")) or _has_long_line(text):
        return None
    newlines = _count_newlines_between_objects(text)
    if newlines is None:
        return None
    try:
        records = decode_values(text)
    except MALFORMED:
        return None
    return records if len(records) == newlines + 1 else None


def _count_newlines_between_objects(text: bytes) -> int | None:
    """Count the newlines. Return None if any newline is not between `}` and `{`."""
    letters = np.frombuffer(text, np.uint8)
    is_newline = letters[1:-1] == _NEWLINE
    is_before_opening = is_newline & (letters[2:] == _OPENING)
    is_after_closing = letters[:-2] == _CLOSING
    if b"\r" in text:
        is_after_closing[1:] |= (letters[1:-2] == _RETURN) & (letters[:-3] == _CLOSING)
    newlines = int(np.count_nonzero(is_newline))
    return newlines if np.count_nonzero(is_before_opening & is_after_closing) == newlines else None


def _has_long_line(text: bytes) -> bool:
    start = 0
    while len(text) - start > MAX_RECORD_BYTES:
        end = text.rfind(b"\n", start, start + MAX_RECORD_BYTES + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _timestamp_getter(field: pa.Field) -> Callable[[Struct], datetime]:
    """Return a function that reads the timestamp `field` of a record.

    For an absent timestamp the function returns EARLIEST, which is in range.
    """
    timestamp = attrgetter(field.name)
    return (lambda record: timestamp(record) or EARLIEST) if field.nullable else timestamp
