"""Batch decoding: successive events of one content type are decoded together while all are regular.

The result for each event equals that of `BodyDecoder`, but the work that events share is done only once. An
event with a bad record, an unknown field or a blank line ends the batch before that event, which is left to
`BodyDecoder`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa
from msgspec import Struct

from shared.codec.arrow_bodies import MAX_UNCOMPRESSED_BYTES
from shared.codec.arrow_rows import ArrowRows
from shared.codec.body_decoder import ARROW, MAX_RECORDS, NDJSON, media_type_of
from shared.codec.fast_path.null_columns import join_batches
from shared.codec.fast_path.record_decoder import MALFORMED, RecordDecoder
from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.service import failpoints
from shared.service.errors import BadRecord


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The records of the first `len(counts)` events.

    Event i has `counts[i]` records, on lines 0, 1, 2, … The records are in `records` or in `batch`.
    """

    counts: Sequence[int]
    records: Sequence[Struct] = ()
    batch: pa.RecordBatch | None = None


EMPTY = DecodedBatch(())
# Records decoded at a time, so that they become columns while the processor still has them in its caches.
_WARM_ROWS = 2_000
# Arrow events whose bounds are checked together. If one of them breaks a bound, those after it are decoded
# again; so a sender of many bad events gets shorter batches.
_MAX_ARROW_EVENTS = 256


class BatchDecoder:
    """A decoder of batches of events, all of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._records = RecordDecoder(contract)
        self._arrow = ArrowRows(contract)
        self._arrow_events = _MAX_ARROW_EVENTS

    def decode(self, bodies: Sequence[bytes], content_type: str | None, max_rows: int) -> DecodedBatch:
        """Decode the leading regular events, at most up to the one that completes `max_rows` rows.

        An empty result means that the first event needs `BodyDecoder`. No content of a body raises an error.
        """
        failpoints.examine("decode", bodies)
        media_type = media_type_of(content_type)
        if media_type == ARROW:
            return self._decode_arrow(bodies, max_rows)
        if media_type == NDJSON:
            return self._decode_lines(bodies, max_rows)
        return self._decode_single_records(bodies[:max_rows])

    def _decode_single_records(self, bodies: Sequence[bytes]) -> DecodedBatch:
        decode = self._records.decode
        records: list[Struct] = []
        add = records.append
        try:
            for body in bodies:
                if len(body) > MAX_RECORD_BYTES:
                    break
                add(decode(body))
        except MALFORMED:
            pass  # the records before it are kept
        if (found := self._records.find_out_of_range(records)) is not None:
            del records[found[0] :]
        return DecodedBatch((1,) * len(records), records)

    def _decode_lines(self, bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        records: list[Struct] = []
        counts: list[int] = []
        for body in bodies:
            found = self._records.decode_lines(body)
            if not found or len(found) > MAX_RECORDS:
                break
            records += found
            counts.append(len(found))
            if len(records) >= min(max_rows, _WARM_ROWS):
                break
        return DecodedBatch(counts, records)

    def _decode_arrow(self, bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        batches, counts = self._read_same_schema(bodies[: self._arrow_events], max_rows)
        batch = join_batches(batches)
        if batch is None:
            return EMPTY
        violations = self._arrow.find_violations(batch)
        if not violations:
            self._arrow_events = min(2 * self._arrow_events, _MAX_ARROW_EVENTS)
            kept = DecodedBatch(counts, batch=batch)
        else:
            kept = keep_events_before(min(violations), counts, batch)
            self._arrow_events = max(1, len(kept.counts))
        if kept.batch is None:
            return EMPTY
        try:
            return DecodedBatch(kept.counts, batch=self._arrow.align(kept.batch))
        except BadRecord:  # the unknown columns of so many events are too large together
            self._arrow_events = 1
            return EMPTY

    def _read_same_schema(
        self, bodies: Sequence[bytes], max_rows: int
    ) -> tuple[list[pa.RecordBatch], list[int]]:
        """Return the batches of the leading bodies that share a schema, and the row count of each body.

        Reading stops once `max_rows` rows or MAX_UNCOMPRESSED_BYTES are reached.
        """
        batches: list[pa.RecordBatch] = []
        counts: list[int] = []
        rows = size_bytes = 0
        for body in bodies:
            try:
                found = self._arrow.read_regular(body)
            except BadRecord:
                break
            count = sum(batch.num_rows for batch in found)
            if not count or not (batches or found)[0].schema.equals(found[0].schema):
                break
            batches += found
            counts.append(count)
            rows += count
            size_bytes += sum(batch.get_total_buffer_size() for batch in found)
            if rows >= max_rows or size_bytes >= MAX_UNCOMPRESSED_BYTES:
                break
        return batches, counts


def keep_events_before(row: int, counts: Sequence[int], batch: pa.RecordBatch) -> DecodedBatch:
    """Return the leading events whose rows all come before row `row` of `batch`."""
    ends = list(accumulate(counts))
    kept = bisect_right(ends, row)
    return DecodedBatch(counts[:kept], batch=batch.slice(0, ends[kept - 1])) if kept else EMPTY
