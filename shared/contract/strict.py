"""Records exactly as the contract declares them, the fast way; what is refused here is looked at closely."""

from collections.abc import Sequence
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
        self._moments = [
            (f.name, attrgetter(f.name)) for f in contract.schema if pa.types.is_timestamp(f.type)
        ]

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
        pieces = body.split(b"\n")
        if not pieces[-1].strip():
            pieces.pop()
        if not pieces or max(map(len, pieces)) > MAX_RECORD_BYTES:
            return None
        try:
            records = self._json.decode_lines(body)
        except MALFORMED:
            return None
        # After a value the decoder wants the line's end, so as many values as lines means one on each.
        if len(records) != len(pieces) or self.untimely(records):
            return None
        return records
