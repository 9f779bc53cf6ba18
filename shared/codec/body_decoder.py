"""Decoder from event bodies to records, the careful path: every record is checked separately.

One bad record never stops or delays a good one. A body is `application/json` (one record, or an array),
`application/x-ndjson` (one record per line) or `application/vnd.apache.arrow.stream`. The content type
decides which; if it is absent, the first bytes do. A body that its content encoding calls gzip is expanded
first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import msgspec
import pyarrow as pa
from msgspec import Struct

from shared.codec.arrow_bodies import CONTINUATION, MAX_UNCOMPRESSED_BYTES, BodyLimits
from shared.codec.arrow_rows import AlignedRows, ArrowRows
from shared.codec.arrow_values import Budget
from shared.codec.content_encoding import expand_gzip, is_gzip
from shared.codec.fast_path.null_columns import join_batches
from shared.codec.fast_path.record_decoder import MALFORMED, RecordDecoder
from shared.codec.json_text import (
    expects_whole_number,
    remove_byte_order_mark,
    split_array,
    with_whole_numbers,
)
from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.contract.field_types import EARLIEST, LATEST
from shared.service import failpoints
from shared.service.errors import BadRecord

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"

MAX_RECORDS = 20_000
NO_RECORD = "no record in the body"
# The first bytes of Arrow's file format, which ends with an index and so is no stream.
_ARROW_FILE = b"ARROW1"
_RECORD_TOO_LARGE = f"too large: a record holds at most {MAX_RECORD_BYTES} bytes"
# An array of more commas is split element by element, so that a bomb of small elements ends at MAX_RECORDS.
_MAX_COMMAS = 2**20


def media_type_of(content_type: str | None) -> str:
    """Return a content type in lower case without its parameters, or an empty text if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that cannot be decoded: its line within the event, the reason and its bytes.

    `body` is the bytes as sent or, for a row of an Arrow body, an Arrow stream of that row. If `is_whole` is
    true, it is the event's whole body, still in its content encoding.
    """

    line: int
    reason: str
    body: bytes
    is_whole: bool = False


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

    `is_any_record` is true once a line was a JSON object, even if a bad one. Until then the lines may be
    parts of something else.
    """

    records: list[Struct] = field(default_factory=list)
    extras: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    is_any_record: bool = False

    def finish(self, body: bytes, reason: str | None = None) -> Decoded:
        """Return the records; if none was found, a rejection of the body for `reason`, or a bad line's."""
        if not self.is_any_record:
            return reject_body(body, reason or (self.bad[0].reason if self.bad else NO_RECORD))
        return Decoded(self.records, self.extras, None, self.lines, self.bad)


def _count_lines(body: bytes) -> int:
    """Return the number of lines without blank ones at the end."""
    return body.rstrip().count(b"\n") + 1


def reject_body(body: bytes, reason: str) -> Decoded:
    """Return a result with one bad record that holds the whole body, because no record was found in it."""
    return Decoded(bad=[BadLine(0, reason, body, is_whole=True)])


class BodyDecoder:
    """Decoder of one contract's event bodies."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._arrow = ArrowRows(contract)
        self._known = frozenset(contract.schema.names)
        self._records = RecordDecoder(contract)
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._array = msgspec.json.Decoder(list[msgspec.Raw])
        self._value = msgspec.json.Decoder(msgspec.Raw)

    def decode(self, body: bytes, content_type: str | None, content_encoding: str | None = None) -> Decoded:
        """Decode one body. No content of a body raises an error: bad records are returned in `bad`."""
        failpoints.examine("decode", (body,))
        if not is_gzip(content_encoding):
            return self._decode_plain(body, content_type)
        try:
            decoded = self._decode_plain(expand_gzip(body), content_type)
        except BadRecord as error:
            return reject_body(body, str(error))
        # A whole body is kept as it was sent: expanded, a few kilobytes would fill the lake.
        bad = [replace(one, body=body) if one.is_whole else one for one in decoded.bad]
        return replace(decoded, bad=bad)

    def _decode_plain(self, body: bytes, content_type: str | None) -> Decoded:
        if not body or body.isspace():
            return reject_body(body, NO_RECORD)
        media_type = media_type_of(content_type)
        starts_like_arrow = body.startswith((CONTINUATION, _ARROW_FILE))
        if media_type == ARROW or (media_type not in (JSON, NDJSON) and starts_like_arrow):
            return self._decode_arrow(body)
        if media_type == NDJSON and (decoded := self._decode_regular_lines(body)) is not None:
            return decoded
        return self._decode_json(body, media_type)

    def _decode_json(self, body: bytes, media_type: str) -> Decoded:
        """Decode one JSON record on any number of lines, an array of records, or a record a line."""
        text = remove_byte_order_mark(body)
        if len(text) <= MAX_RECORD_BYTES:
            try:
                return Decoded([self._check_timestamps(self._records.decode(text))], [None], None, (0,))
            except (*MALFORMED, BadRecord):
                pass  # the reason is found below, field by field
        stripped = text.strip()
        if stripped in (b"", b"null"):
            return reject_body(body, NO_RECORD)
        if stripped.startswith(b"[") and media_type != NDJSON:
            return self._decode_array(body, stripped)
        reason = self._find_fault(text)
        if reason is not None and b"\n" in stripped:
            regular = None if media_type == NDJSON else self._decode_regular_lines(body)
            return regular or self._decode_lines(body, reason)
        if len(text) > MAX_RECORD_BYTES:
            return reject_body(body, _RECORD_TOO_LARGE)
        lines = _DecodedLines()
        self._decode_line(lines, 0, body)
        return lines.finish(body)

    def _find_fault(self, text: bytes) -> str | None:
        """Return why a text is not one JSON value, or None if it is."""
        try:
            self._value.decode(text)
        except MALFORMED as error:
            return f"malformed: {error}"
        return None

    def _decode_array(self, body: bytes, text: bytes) -> Decoded:
        """Decode an array of records; if some elements are not valid JSON, the others are still decoded."""
        items, reason = self._read_elements(text)
        found = list(islice(items, MAX_RECORDS + 1))
        if len(found) > MAX_RECORDS:
            return reject_body(body, f"too large: more than {MAX_RECORDS} records")
        lines = _DecodedLines(is_any_record=reason is None and bool(found))
        for line, item in enumerate(found):
            if item.strip():
                self._decode_line(lines, line, item)
        return lines.finish(body, reason)

    def _read_elements(self, text: bytes) -> tuple[Iterable[bytes], str | None]:
        """Return the elements of an array, and why it is not valid JSON (None if it is)."""
        if text.count(b",") > _MAX_COMMAS:
            return split_array(text), self._find_fault(text)
        try:
            return map(bytes, self._array.decode(text)), None
        except MALFORMED as error:
            return split_array(text), f"malformed: {error}"

    def _decode_regular_lines(self, body: bytes) -> Decoded | None:
        """Decode a body in which every line is one record without an unknown field; None for any other."""
        if _count_lines(body) > MAX_RECORDS:
            return None
        records = self._records.decode_lines(remove_byte_order_mark(body))
        return Decoded(records, [None] * len(records), None, range(len(records))) if records else None

    def _decode_lines(self, body: bytes, reason: str) -> Decoded:
        """Decode a record a line; if no line is a JSON object, the body is rejected for `reason`."""
        if _count_lines(body) > MAX_RECORDS:
            return reject_body(body, f"too large: more than {MAX_RECORDS} lines")
        lines = _DecodedLines()
        for line, piece in enumerate(body.split(b"\n")):
            if piece.strip():
                self._decode_line(lines, line, piece)
        return lines.finish(body, reason)

    def _decode_line(self, lines: _DecodedLines, line: int, piece: bytes) -> None:
        """Decode one record and add it to `lines`, with its unknown fields in `extras`.

        A record that cannot be decoded is added to `lines.bad`.
        """
        if len(piece) > MAX_RECORD_BYTES:
            stripped = piece.strip()
            lines.is_any_record |= stripped.startswith(b"{") and stripped.endswith(b"}")
            lines.bad.append(BadLine(line, _RECORD_TOO_LARGE, piece))
            return
        try:
            fields = self._fields.decode(remove_byte_order_mark(piece))
            lines.is_any_record = True
            extra = {name: raw for name, raw in fields.items() if name not in self._known}
            known = {name: raw for name, raw in fields.items() if name in self._known}
            record = self._check_timestamps(self._decode_record(msgspec.json.encode(known)))
            text = msgspec.json.encode(extra).decode() if extra else None
        except msgspec.ValidationError as error:
            lines.bad.append(BadLine(line, f"invalid: {error}", piece))
        except MALFORMED as error:
            lines.bad.append(BadLine(line, f"malformed: {error}", piece))
        except BadRecord as error:
            lines.bad.append(BadLine(line, str(error), piece))
        else:
            lines.records.append(record)
            lines.extras.append(text)
            lines.lines.append(line)

    def _decode_record(self, text: bytes) -> Struct:
        try:
            return self._records.decode(text)
        except msgspec.ValidationError as error:
            if not expects_whole_number(error):
                raise
            return self._records.decode(with_whole_numbers(text))

    def _check_timestamps(self, record: Struct) -> Struct:
        found = self._records.find_out_of_range((record,))
        if found is not None:
            raise BadRecord(f"invalid: {found[1]} is outside {EARLIEST.year} to {LATEST.year}")
        return record

    def _decode_arrow(self, body: bytes) -> Decoded:
        """Decode the Arrow streams of a body; one that is not valid is a bad record with all behind it."""
        if body.startswith(_ARROW_FILE):
            return reject_body(body, "malformed: an Arrow file; write an Arrow IPC stream instead")
        limits, budget = BodyLimits(), Budget(MAX_UNCOMPRESSED_BYTES)
        found, at, rows = _DecodedRows(), 0, 0
        while body[at:].strip(b"\0"):
            try:
                stream = self._arrow.read_stream(body, at, limits)
                aligned = self._arrow.align_stream(stream, budget)
            except BadRecord as error:
                if not at:
                    return reject_body(body, f"malformed: {error}")
                found.bad.append(BadLine(rows, f"malformed: {error}", body[at:]))
                break
            for one in aligned:
                found.add(rows, one)
                rows += one.batch.num_rows
            at = stream.end
        return found.finish() if rows or found.bad else reject_body(body, NO_RECORD)


@dataclass(slots=True)
class _DecodedRows:
    """The rows decoded so far from one Arrow body."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    def add(self, first: int, rows: AlignedRows) -> None:
        """Add a batch whose first row is on line `first`."""
        good = [row for row in range(rows.batch.num_rows) if row not in rows.reasons]
        self.lines += [first + row for row in good]
        self.batches.append(rows.batch.take(pa.array(good, pa.int64())) if rows.reasons else rows.batch)
        for row, reason in sorted(rows.reasons.items()):
            self.bad.append(BadLine(first + row, f"invalid: {reason}", rows.encode_row(row)))

    def finish(self) -> Decoded:
        return Decoded(batch=join_batches(self.batches), lines=self.lines, bad=self.bad)
