"""Decoder from event bodies to records, the careful path: every record is checked separately.

One bad record never stops or delays a good one. A body is `application/json` (one record, or an array),
`application/x-ndjson` (one record per line) or `application/vnd.apache.arrow.stream`. The content type
decides which; if it is absent, the first bytes do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa
from msgspec import Struct

from shared.codec.arrow_bodies import CONTINUATION, write_stream
from shared.codec.arrow_rows import ArrowRows
from shared.codec.fast_path.null_columns import join_batches
from shared.codec.fast_path.record_decoder import MALFORMED, RecordDecoder
from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.contract.field_types import EARLIEST, LATEST
from shared.service.errors import BadRecord

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"

MAX_RECORDS = 20_000


def media_type_of(content_type: str | None) -> str:
    """Return a content type in lower case without its parameters, or an empty text if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that cannot be decoded: its line within the event, the reason and its bytes.

    `body` is the bytes as sent or, for a row of an Arrow body, an Arrow stream of that row.
    """

    line: int
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result for one event, in order: the good records with their line numbers, and the bad ones.

    The good records are structs or, for an Arrow body, a batch of the contract's columns.
    """

    records: Sequence[Struct] = ()
    extras: Sequence[str | None] = ()
    batch: pa.RecordBatch | None = None
    lines: Sequence[int] = ()
    bad: Sequence[BadLine] = ()


@dataclass(slots=True)
class _DecodedLines:
    """The records decoded so far from one JSON body.

    `is_any_json` is true once any line was JSON, even if its record was bad.
    """

    records: list[Struct] = field(default_factory=list)
    extras: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    is_any_json: bool = False

    def finish(self, body: bytes) -> Decoded:
        if not self.records and not self.is_any_json:
            reason = self.bad[0].reason if self.bad else "no record in the body"
            return reject_body(body, reason)
        return Decoded(self.records, self.extras, None, self.lines, self.bad)


def reject_body(body: bytes, reason: str) -> Decoded:
    """Return a result with one bad record that holds the whole body, because no record was found in it."""
    return Decoded(bad=[BadLine(0, reason, body)])


class BodyDecoder:
    """Decoder of one contract's event bodies."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._arrow = ArrowRows(contract)
        self._known = frozenset(contract.schema.names)
        self._records = RecordDecoder(contract)
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._array = msgspec.json.Decoder(list[msgspec.Raw])

    def decode(self, body: bytes, content_type: str | None) -> Decoded:
        """Decode one body. No content of a body raises an error: bad records are returned in `bad`."""
        media_type = media_type_of(content_type)
        if media_type == ARROW or (media_type not in (JSON, NDJSON) and body.startswith(CONTINUATION)):
            return self._decode_arrow(body)
        if media_type != NDJSON and (decoded := self._decode_one(body, media_type)) is not None:
            return decoded
        return self._decode_lines(body)

    def _decode_one(self, body: bytes, media_type: str) -> Decoded | None:
        """Decode a single JSON record or an array of them. Return None if the body looks like NDJSON."""
        if len(body) <= MAX_RECORD_BYTES:
            try:
                return Decoded([self._check_timestamps(self._records.decode(body))], [None], None, (0,))
            except (*MALFORMED, BadRecord):
                pass  # the reason is found below, field by field
        stripped = body.strip()
        if stripped.startswith(b"["):
            return self._decode_array(body)
        if media_type != JSON and b"\n" in stripped:
            return None
        lines = _DecodedLines()
        self._decode_line(lines, 0, body)
        if not lines.is_any_json and b"\n" in stripped:
            return None  # lines under the wrong content type
        return lines.finish(body)

    def _decode_array(self, body: bytes) -> Decoded:
        try:
            items = self._array.decode(body)
        except MALFORMED as error:
            return reject_body(body, f"malformed: {error}")
        if len(items) > MAX_RECORDS:
            return reject_body(body, f"too large: more than {MAX_RECORDS} records")
        lines = _DecodedLines(is_any_json=bool(items))
        for line, item in enumerate(items):
            self._decode_line(lines, line, bytes(item))
        return lines.finish(body)

    def _decode_lines(self, body: bytes) -> Decoded:
        pieces = body.split(b"\n")
        if pieces and not pieces[-1].strip():
            pieces.pop()
        if len(pieces) > MAX_RECORDS:
            return reject_body(body, f"too large: more than {MAX_RECORDS} lines")
        if records := self._records.decode_lines(body):
            return Decoded(records, [None] * len(records), None, range(len(records)))
        lines = _DecodedLines()
        for line, piece in enumerate(pieces):
            if piece.strip():
                self._decode_line(lines, line, piece)
        return lines.finish(body)

    def _decode_line(self, lines: _DecodedLines, line: int, piece: bytes) -> None:
        """Decode one record and add it to `lines`, with its unknown fields in `extras`.

        A record that cannot be decoded is added to `lines.bad`.
        """
        if len(piece) > MAX_RECORD_BYTES:
            reason = f"too large: a record holds at most {MAX_RECORD_BYTES} bytes"
            lines.is_any_json = True
            lines.bad.append(BadLine(line, reason, piece))
            return
        try:
            fields = self._fields.decode(piece)
            lines.is_any_json = True
            extra = {name: raw for name, raw in fields.items() if name not in self._known}
            known = {name: raw for name, raw in fields.items() if name in self._known}
            record = self._check_timestamps(self._records.decode(msgspec.json.encode(known)))
            text = msgspec.json.encode(extra).decode() if extra else None
        except msgspec.ValidationError as error:
            lines.is_any_json = lines.is_any_json or piece.strip() not in (b"null", b"")
            lines.bad.append(BadLine(line, f"invalid: {error}", piece))
        except MALFORMED as error:
            lines.bad.append(BadLine(line, f"malformed: {error}", piece))
        except BadRecord as error:
            lines.bad.append(BadLine(line, str(error), piece))
        else:
            lines.records.append(record)
            lines.extras.append(text)
            lines.lines.append(line)

    def _check_timestamps(self, record: Struct) -> Struct:
        found = self._records.find_out_of_range((record,))
        if found is not None:
            raise BadRecord(f"invalid: {found[1]} is outside {EARLIEST.year} to {LATEST.year}")
        return record

    def _decode_arrow(self, body: bytes) -> Decoded:
        try:
            batch = join_batches(self._arrow.read(body))
        except BadRecord as error:
            return reject_body(body, f"malformed: {error}")
        if batch is None or not batch.num_rows:
            return reject_body(body, "no record in the body")
        reasons = self._arrow.find_violations(batch)
        bad = [
            BadLine(line, f"invalid: {reason}", write_stream(batch.slice(line, 1)))
            for line, reason in sorted(reasons.items())
        ]
        lines = (
            [line for line in range(batch.num_rows) if line not in reasons] if bad else range(batch.num_rows)
        )
        kept = batch.take(pa.array(lines, pa.int64())) if bad else batch
        return Decoded(batch=self._arrow.align(kept), lines=lines, bad=bad)
