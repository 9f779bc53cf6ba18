"""Records exactly as the contract declares them, the fast way; what is refused here is looked at closely."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.contract.field_types import EARLIEST, LATEST

_LINE_END, _RETURN, _OPENING, _CLOSING = b"\n\r{}"
MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)


class RecordDecoder:
    """JSON with no unknown field and nothing out of bounds."""

    def __init__(self, contract: Contract) -> None:
        self._json = msgspec.json.Decoder(contract.record)
        self.record = self._json.decode  # raises MALFORMED; instants are not judged yet
        self._moments = [
            (f.name, _timestamp_getter(f)) for f in contract.schema if pa.types.is_timestamp(f.type)
        ]

    def takes(self, body: bytes) -> bool:
        """Whether a body is one record."""
        try:
            return self.untimely((self.record(body),)) is None
        except MALFORMED:
            return False

    def untimely(self, records: Sequence[Struct]) -> tuple[int, str] | None:
        """Row and name of the first instant outside what every clock holds: no declaration can say that."""
        found = [
            (row, name)
            for name, instant in self._moments
            if records and (min(map(instant, records)) < EARLIEST or max(map(instant, records)) > LATEST)
            for row, record in enumerate(records)
            if not EARLIEST <= instant(record) <= LATEST
        ]
        return min(found, default=None)

    def lines(self, body: bytes) -> list[Struct] | None:
        """The records of a body whose every line is one; None for any other."""
        records = decode_lines(body, self._json.decode_lines)
        return None if not records or self.untimely(records) else records


def decode_lines(body: bytes, decode_lines: Callable[[bytes], list[Struct]]) -> list[Struct] | None:
    """The records of a body whose every line is one, instants not judged; None for any other.

    A decoder of JSON minds no line ends: it takes two values on a line, and one value over two lines.
    But where every line starts with `{` and ends with `}`, no value goes over a line's end, for within a
    value no `{` ever follows a `}`; then as many values as lines means one on each.
    """
    text = body.removesuffix(b"\n").removesuffix(b"\r")
    if not (text.startswith(b"{") and text.endswith(b"}")) or _has_long_line(text):
        return None
    ends = _count_plain_line_ends(text)
    if ends is None:
        return None
    try:
        records = decode_lines(text)
    except MALFORMED:
        return None
    return records if len(records) == ends + 1 else None


def _count_plain_line_ends(text: bytes) -> int | None:
    """How many line ends there are, all of them between `}` and `{`; None where one is not."""
    letters = np.frombuffer(text, np.uint8)
    is_end = letters[1:-1] == _LINE_END
    is_plain = is_end & (letters[2:] == _OPENING)
    is_closed = letters[:-2] == _CLOSING
    if b"\r" in text:
        is_closed[1:] |= (letters[1:-2] == _RETURN) & (letters[:-3] == _CLOSING)
    ends = int(np.count_nonzero(is_end))
    return ends if np.count_nonzero(is_plain & is_closed) == ends else None


def _has_long_line(text: bytes) -> bool:
    start = 0
    while len(text) - start > MAX_RECORD_BYTES:
        end = text.rfind(b"\n", start, start + MAX_RECORD_BYTES + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _timestamp_getter(field: pa.Field) -> Callable[[Struct], datetime]:
    """A record's instant; one that is absent offends nobody."""
    instant = attrgetter(field.name)
    return (lambda record: instant(record) or EARLIEST) if field.nullable else instant
