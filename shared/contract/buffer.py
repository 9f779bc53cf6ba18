"""Decoded events gathered into raw rows, in sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Struct

from shared.contract.bodies import BadLine, Decoded
from shared.contract.columns import LINEAGE, Contract, batch_of

_CHUNK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class EventOrigin:
    """Where an event stands in its hub; `enqueued_us` is microseconds since the epoch, UTC."""

    partition: int
    sequence_number: int
    offset: str
    enqueued_us: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad record with its origin."""

    origin: EventOrigin
    content_type: str | None
    bad: BadLine


class RowBuffer:
    """Raw rows of one partition (the contract's `raw_schema`), added event by event in sequence order."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.rows = 0
        self._batches: list[pa.RecordBatch] = []
        self._records: list[Struct] = []
        self._extras: list[str | None] = []
        self._lineage: list[tuple[int, int, str, int, int]] = []

    def add(self, decoded: Decoded, origin: EventOrigin) -> None:
        """Take in the good records of one event, if it has any."""
        if not decoded.lines:
            return
        place = (origin.partition, origin.sequence_number, origin.offset)
        enqueued = origin.enqueued_us
        if decoded.batch is not None:
            self._close_chunk()
            rows = len(decoded.lines)
            lines = pa.array(np.asarray(decoded.lines), pa.int32())
            columns = [*(pa.repeat(value, rows) for value in place), lines, pa.repeat(enqueued, rows)]
            self._batches.append(self._raw_batch(decoded.batch, columns))
        else:
            self._records.extend(decoded.records)
            self._extras.extend(decoded.extras)
            self._lineage.extend((*place, line, enqueued) for line in decoded.lines)
            if len(self._records) >= _CHUNK_ROWS:
                self._close_chunk()
        self.rows += len(decoded.lines)

    def table(self) -> pa.Table:
        """All rows so far."""
        self._close_chunk()
        return pa.Table.from_batches(self._batches, schema=self.contract.raw_schema)

    def _close_chunk(self) -> None:
        if self._records:
            batch = batch_of(self.contract, self._records, self._extras)
            self._batches.append(self._raw_batch(batch, list(zip(*self._lineage, strict=True))))
            self._records, self._extras, self._lineage = [], [], []

    def _raw_batch(self, batch: pa.RecordBatch, lineage: Sequence[Any]) -> pa.RecordBatch:
        places = [
            column.cast(field.type) if isinstance(column, pa.Array) else pa.array(column, field.type)
            for column, field in zip(lineage, LINEAGE, strict=True)
        ]
        return pa.record_batch([*batch.columns, *places], schema=self.contract.raw_schema)
