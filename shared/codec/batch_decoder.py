"""Runs: successive events of one content type decoded together, as far as nothing is wrong with them.

What `BodyDecoder` promises of each event stands; here only what all events share is done once. An event with
anything out of the ordinary (a bad record, an unknown field, a blank line) ends the run before it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa
from msgspec import Struct

from shared.codec.arrow_bodies import MAX_UNCOMPRESSED_BYTES
from shared.codec.arrow_rows import ArrowRows
from shared.codec.bodies import ARROW, MAX_RECORDS, NDJSON, media_type_of
from shared.codec.fast_path.null_columns import join_batches
from shared.codec.fast_path.record_decoder import MALFORMED, RecordDecoder
from shared.contract.columns import MAX_RECORD_BYTES, Contract
from shared.service.errors import BadRecord


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The first `len(counts)` events: `counts[i]` records of event i, on lines 0 on; structs or a batch."""

    counts: Sequence[int]
    records: Sequence[Struct] = ()
    batch: pa.RecordBatch | None = None


EMPTY = DecodedBatch(())
# Records that become columns while the processor still has them in its caches.
WARM_ROWS = 2_000
# Arrow events whose bounds are checked together. Where one of them breaks a bound, those after it
# are decoded again: so a sender of many such gets shorter runs.
_MAX_REACH = 256


class BatchDecoder:
    """Decodes runs of one contract's events."""

    def __init__(self, contract: Contract) -> None:
        self._strict = RecordDecoder(contract)
        self._arrow = ArrowRows(contract)
        self._reach = _MAX_REACH

    def decode(self, bodies: Sequence[bytes], content_type: str | None, max_rows: int) -> DecodedBatch:
        """As many of the events as are plain, up to the one with which there are `max_rows` rows.

        An empty run means that the first event needs `BodyDecoder`. Never raises for what a sender wrote.
        """
        kind = media_type_of(content_type)
        if kind == ARROW:
            return self._decode_arrow(bodies, max_rows)
        if kind == NDJSON:
            return self._of_lines(bodies, max_rows)
        return self._ones(bodies[:max_rows])

    def _ones(self, bodies: Sequence[bytes]) -> DecodedBatch:
        decode = self._strict.record
        records: list[Struct] = []
        add = records.append
        try:
            for body in bodies:
                if len(body) > MAX_RECORD_BYTES:
                    break
                add(decode(body))
        except MALFORMED:
            pass  # what came before it stands
        if (found := self._strict.untimely(records)) is not None:
            del records[found[0] :]
        return DecodedBatch((1,) * len(records), records)

    def _of_lines(self, bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        records: list[Struct] = []
        counts: list[int] = []
        for body in bodies:
            found = self._strict.lines(body)
            if not found or len(found) > MAX_RECORDS:
                break
            records += found
            counts.append(len(found))
            if len(records) >= min(max_rows, WARM_ROWS):
                break
        return DecodedBatch(counts, records)

    def _decode_arrow(self, bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        batches, counts = self._read_alike(bodies[: self._reach], max_rows)
        batch = join_batches(batches)
        if batch is None:
            return EMPTY
        broken = self._arrow.violations(batch)
        if not broken:
            self._reach = min(2 * self._reach, _MAX_REACH)
            return DecodedBatch(counts, batch=self._arrow.aligned(batch))
        run = keep_events_before(min(broken), counts, batch)
        self._reach = max(1, len(run.counts))
        return EMPTY if run.batch is None else DecodedBatch(run.counts, batch=self._arrow.aligned(run.batch))

    def _read_alike(self, bodies: Sequence[bytes], max_rows: int) -> tuple[list[pa.RecordBatch], list[int]]:
        """Batches of the first bodies that share a schema, and the rows of each body, within bounds."""
        batches: list[pa.RecordBatch] = []
        counts: list[int] = []
        rows = size_bytes = 0
        for body in bodies:
            try:
                found = self._arrow.read(body)
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
    """The events all of whose rows come before `row`."""
    ends = list(accumulate(counts))
    plain = bisect_right(ends, row)
    return DecodedBatch(counts[:plain], batch=batch.slice(0, ends[plain - 1])) if plain else EMPTY
