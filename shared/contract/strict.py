"""Records exactly as the contract declares them, the fast way; what is refused here is looked at closely."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from shared.contract.columns import Contract
from shared.contract.signals import EARLIEST, LATEST

MAX_RECORD_BYTES = 64 * 2**10
_LINE_END, _RETURN, _OPENING, _CLOSING = b"\n\r{}"
MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)


class StrictDecoder:
    """JSON with no unknown field and nothing out of bounds."""

    def __init__(self, contract: Contract) -> None:
        self._json = msgspec.json.Decoder(contract.record)
        self.record = self._json.decode  # raises MALFORMED; instants are not judged yet
        self._moments = [(f.name, _moment(f)) for f in contract.schema if pa.types.is_timestamp(f.type)]

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
        records = lines_of(body, self._json.decode_lines)
        return None if not records or self.untimely(records) else records


def lines_of(body: bytes, decode_lines: Callable[[bytes], list[Struct]]) -> list[Struct] | None:
    """The records of a body whose every line is one, instants not judged; None for any other.

    A decoder of JSON minds no line ends: it takes two values on a line, and one value over two lines.
    But where every line starts with `{` and ends with `}`, no value goes over a line's end, for within a
    value no `{` ever follows a `}`; then as many values as lines means one on each.
    """
    text = body.removesuffix(b"\n").removesuffix(b"\r")
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(letters == _LINE_END)
    if not (letters[ends + 1] == _OPENING).all():
        return None
    before = letters[ends - 1]
    if b"\r" in text:
        before = np.where(before == _RETURN, letters[ends - 2], before)
    if not (before == _CLOSING).all():
        return None
    if len(text) > MAX_RECORD_BYTES and np.diff(ends, prepend=-1, append=len(text)).max() > MAX_RECORD_BYTES:
        return None
    try:
        records = decode_lines(text)
    except MALFORMED:
        return None
    return records if len(records) == len(ends) + 1 else None


def _moment(field: pa.Field) -> Callable[[Struct], datetime]:
    """A record's instant; one that is absent offends nobody."""
    instant = attrgetter(field.name)
    return (lambda record: instant(record) or EARLIEST) if field.nullable else instant
