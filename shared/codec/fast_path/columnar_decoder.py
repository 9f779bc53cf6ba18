"""Decoder of batches directly into columns, in less than half the time that decoding to records takes."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from shared.codec.batch_decoder import EMPTY, BatchDecoder, DecodedBatch, keep_events_before
from shared.codec.body_decoder import MAX_RECORDS
from shared.codec.fast_path.arrow_builders import Chunk
from shared.codec.fast_path.record_decoder import MALFORMED, decode_ndjson
from shared.codec.fast_path.record_projection import ObservedProjection, UnsupportedTimestamp
from shared.contract.columns import MAX_RECORD_BYTES, Contract

# Records packed at a time, so that the processor has them in the nearer of its caches: a kilobyte each.
_WARM_RECORDS = 256
# Rows that share the cost of making a batch, about a hundred calls.
_BATCH_ROWS = 8_192


class ColumnarDecoder(BatchDecoder):
    """A `BatchDecoder` whose non-empty results hold `batch` and no `records`."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self._observed = ObservedProjection(contract)

    def _decode_single_records(self, bodies: Sequence[bytes]) -> DecodedBatch:
        projection = self._observed.projection
        chunks: list[list[Chunk]] = []
        decoded = 0
        while decoded < len(bodies):
            records = _decode_leading_records(bodies[decoded : decoded + _WARM_RECORDS], projection.decode)
            if records:
                chunks.append(projection.pack(records))
            decoded += len(records)
            if len(records) < _WARM_RECORDS:
                break
        if decoded:
            return self._build(chunks, (1,) * decoded) or self._decode_single_records(bodies)
        if bodies and self._records.is_record(bodies[0]) and self._observed.add_fields(bodies[:1]):
            return self._decode_single_records(bodies)
        return EMPTY

    def _decode_lines(self, bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        projection = self._observed.projection
        chunks: list[list[Chunk]] = []
        counts: list[int] = []
        records: list[Struct] = []
        rows_left = min(max_rows, _BATCH_ROWS)
        for body in bodies:
            found = decode_ndjson(body, projection.decode_lines)
            if not found or len(found) > MAX_RECORDS:
                break
            counts.append(len(found))
            records += found
            rows_left -= len(found)
            if len(records) >= _WARM_RECORDS:
                chunks.append(projection.pack(records))
                records = []
            if rows_left <= 0:
                break
        if records:
            chunks.append(projection.pack(records))
        if counts:
            return self._build(chunks, counts) or self._decode_lines(bodies, max_rows)
        if (
            bodies
            and self._records.decode_lines(bodies[0])
            and self._observed.add_fields(bodies[0].split(b"\n"))
        ):
            return self._decode_lines(bodies, max_rows)
        return EMPTY

    def _build(self, chunks: Sequence[list[Chunk]], counts: Sequence[int]) -> DecodedBatch | None:
        """Build the batch of the events before the first timestamp out of range.

        Return None if a timestamp's form required another projection: the events must then be decoded again.
        """
        try:
            batch = self._observed.projection.build_batch(chunks, sum(counts))
        except UnsupportedTimestamp:
            self._observed.decode_timestamps_per_record()
            return None
        return keep_events_before(batch.num_rows, counts, batch)


def _decode_leading_records(bodies: Sequence[bytes], decode: Callable[[bytes], Any]) -> list[Struct]:
    """Decode bodies of one record each; stop before the first body that cannot be decoded or is too long."""
    records: list[Struct] = []
    try:
        for body in bodies:
            if len(body) > MAX_RECORD_BYTES:
                break
            records.append(decode(body))
    except MALFORMED:
        pass  # the records before it are kept
    return records
