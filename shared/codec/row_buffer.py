"""Buffer that collects decoded events as raw rows, in sequence order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Struct

from shared.codec.batch_decoder import DecodedBatch
from shared.codec.body_decoder import BadLine, Decoded
from shared.codec.fast_path.arrow_builders import build_array
from shared.codec.fast_path.null_columns import ConstantColumn, join_batches, share_nulls, unshared_bytes
from shared.codec.record_batches import build_batch
from shared.contract.columns import INSTANT, Contract

# Records become columns while the processor still has them in its caches: chunks of 2,000 take half the
# time of chunks of 16,000.
_CHUNK_ROWS = 2_000
_RECORD_BYTES = 1_000
# Arrow bodies of a few rows each are joined, because every batch has a hundred buffers of its own.
_SMALL_BATCHES, _SMALL_ROWS = 32, 1_000


@dataclass(frozen=True, slots=True)
class EventOrigin:
    """The position of an event in its hub; `enqueued_us` is microseconds since the epoch, UTC."""

    partition: int
    sequence_number: int
    offset: str
    enqueued_us: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad record with the origin and the content type of its event.

    `content_encoding` is that of the record's bytes; `properties` are the event's application properties, as
    values of JSON.
    """

    origin: EventOrigin
    content_type: str | None
    bad: BadLine
    content_encoding: str | None = None
    properties: Mapping[str, Any] | None = None


@dataclass(slots=True)
class _Origins:
    """The events from which a chunk of rows came: the position of each event and its number of rows.

    `irregular_lines` maps an event's index to its line numbers if these are not simply 0, 1, 2, …
    """

    sequence_numbers: list[int] = field(default_factory=list)
    offsets: list[str] = field(default_factory=list)
    enqueued_us: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    irregular_lines: dict[int, Sequence[int]] = field(default_factory=dict)

    def columns(self, partition: int) -> list[pa.Array]:
        """Return the lineage columns of the rows, one for each field of LINEAGE."""
        counts = np.array(self.counts)
        rows = int(counts.sum())
        offsets = build_array(self.offsets, pa.string())
        if rows > len(counts):
            offsets = offsets.take(pa.array(np.repeat(np.arange(len(counts)), counts)))
        return [
            _partition_constant(partition).array(rows),
            pa.array(np.repeat(np.array(self.sequence_numbers, np.int64), counts)),
            offsets,
            pa.array(self._lines(counts)),
            pa.array(np.repeat(np.array(self.enqueued_us, np.int64), counts)).view(INSTANT),
        ]

    def _lines(self, counts: np.ndarray) -> np.ndarray:
        ends = counts.cumsum()
        lines = np.arange(ends[-1], dtype=np.int32)
        lines -= np.repeat((ends - counts).astype(np.int32), counts)
        for event, event_lines in self.irregular_lines.items():
            lines[ends[event] - counts[event] : ends[event]] = event_lines
        return lines


@lru_cache(maxsize=32)
def _partition_constant(partition: int) -> ConstantColumn:
    return ConstantColumn(partition, pa.int32())


class RowBuffer:
    """Raw rows of one partition, in the contract's `raw_schema`. Events must be added in sequence order."""

    def __init__(self, contract: Contract, partition: int) -> None:
        self.contract = contract
        self.partition = partition
        self.rows = 0
        self._columns_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._small: list[pa.RecordBatch] = []
        self._records: list[Struct] = []
        self._extras: list[str | None] = []
        self._origins = _Origins()

    @property
    def memory_bytes(self) -> int:
        """Estimate the memory that the rows take, in bytes."""
        return self._columns_bytes + _RECORD_BYTES * len(self._records)

    def add(self, decoded: Decoded, origin: EventOrigin) -> None:
        """Add the good records of one event; an event without good records adds nothing."""
        if decoded.lines:
            self._start_chunk(decoded.batch)
            self._add_origins((origin.sequence_number,), (origin.offset,), (origin.enqueued_us,))
            if decoded.lines[-1] != len(decoded.lines) - 1:
                self._origins.irregular_lines[len(self._origins.counts)] = decoded.lines
            self._origins.counts.append(len(decoded.lines))
            self._add_rows(len(decoded.lines), decoded.records, decoded.extras, decoded.batch)

    def add_batch(
        self,
        decoded: DecodedBatch,
        sequence_numbers: Sequence[int],
        offsets: Sequence[str],
        enqueued_us: Sequence[int],
    ) -> None:
        """Add all records of a batch of events; entry i of each sequence belongs to event i."""
        self._start_chunk(decoded.batch)
        self._add_origins(sequence_numbers, offsets, enqueued_us)
        self._origins.counts.extend(decoded.counts)
        self._add_rows(sum(decoded.counts), (), (), decoded.batch)

    def table(self) -> pa.Table:
        """Return all rows added so far."""
        self._close_chunk()
        return pa.Table.from_batches([*self._batches, *self._small], schema=self.contract.raw_schema)

    def _start_chunk(self, batch: pa.RecordBatch | None) -> None:
        """Close the current chunk if a batch follows, because that batch becomes a separate chunk."""
        if batch is not None:
            self._close_chunk()

    def _add_origins(
        self, sequence_numbers: Sequence[int], offsets: Sequence[str], enqueued_us: Sequence[int]
    ) -> None:
        self._origins.sequence_numbers.extend(sequence_numbers)
        self._origins.offsets.extend(offsets)
        self._origins.enqueued_us.extend(enqueued_us)

    def _add_rows(
        self,
        rows: int,
        records: Sequence[Struct],
        extras: Sequence[str | None],
        batch: pa.RecordBatch | None,
    ) -> None:
        self.rows += rows
        if batch is not None:
            self._keep(batch)
            return
        self._records.extend(records)
        self._extras.extend(extras)
        if len(self._records) >= _CHUNK_ROWS:
            self._close_chunk()

    def _close_chunk(self) -> None:
        if self._records:
            batch = build_batch(self.contract, self._records, self._extras)
            self._records, self._extras = [], []
            self._keep(pa.record_batch([*map(share_nulls, batch.columns)], schema=batch.schema))

    def _keep(self, batch: pa.RecordBatch) -> None:
        """Complete a batch to raw rows and keep it.

        The lineage columns come from the origins added since the previous batch.
        """
        columns = [*batch.columns, *self._origins.columns(self.partition)]
        self._origins = _Origins()
        raw = pa.record_batch(columns, schema=self.contract.raw_schema)
        self._columns_bytes += unshared_bytes(raw)
        if raw.num_rows >= _SMALL_ROWS:
            self._batches += [*self._small, raw]
            self._small = []
            return
        self._small.append(raw)
        if len(self._small) == _SMALL_BATCHES:
            self._join_small()

    def _join_small(self) -> None:
        whole = join_batches(self._small)
        if whole is None:
            return
        if whole.num_rows < _SMALL_ROWS:
            self._small = [whole]
        else:
            self._batches.append(whole)
            self._small = []
