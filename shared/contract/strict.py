"""Records exactly as the contract declares them, the fast way; what is refused here is looked at closely."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
import pyarrow as pa
from msgspec import Struct

from shared.contract.columns import Contract
from shared.contract.signals import EARLIEST, LATEST

MAX_RECORD_BYTES = 64 * 2**10
MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)


class StrictDecoder:
    """JSON with no unknown field and nothing out of bounds."""

    def __init__(self, contract: Contract) -> None:
        self._json = msgspec.json.Decoder(contract.record)
        self.record = self._json.decode  # raises MALFORMED; instants are not judged yet
        self._moments = [(f.name, _moment(f)) for f in contract.schema if pa.types.is_timestamp(f.type)]

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
        """The records of a body whose every line is one; None for any other.

        The decoder itself minds no line ends: it takes two values on a line, and one value over two lines.
        But where every line starts with `{` and ends with `}`, no value goes over a line's end, for within a
        value no `{` ever follows a `}`; then as many values as lines means one on each.
        """
        text = body.removesuffix(b"\n").removesuffix(b"\r")
        ends = text.count(b"\n")
        if not (text.startswith(b"{") and text.endswith(b"}")):
            return None
        if text.count(b"}\n{") + text.count(b"}\r\n{") != ends:
            return None
        if len(text) > MAX_RECORD_BYTES and max(map(len, text.split(b"\n"))) > MAX_RECORD_BYTES:
            return None
        try:
            records = self._json.decode_lines(text)
        except MALFORMED:
            return None
        if len(records) != ends + 1 or self.untimely(records):
            return None
        return records


def _moment(field: pa.Field) -> Callable[[Struct], datetime]:
    """A record's instant; one that is absent offends nobody."""
    instant = attrgetter(field.name)
    return (lambda record: instant(record) or EARLIEST) if field.nullable else instant
