"""Columns that a sender left out: slices of arrays made once, so that they cost neither time nor memory."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from shared.contract.columns import EXTRA, Contract

_KEPT_ROWS = 2**15


class Repeated:
    """Rows of one value."""

    def __init__(self, value: Any, kind: pa.DataType) -> None:
        self._value = pa.scalar(value, kind)
        self._kept = pa.repeat(self._value, _KEPT_ROWS)

    def rows(self, count: int) -> pa.Array:
        """So many of them."""
        return self._kept.slice(0, count) if count <= _KEPT_ROWS else pa.repeat(self._value, count)


@lru_cache(maxsize=1_024)
def _nulls(kind: pa.DataType) -> Repeated:
    return Repeated(None, kind)


def nulls(kind: pa.DataType, rows: int) -> pa.Array:
    """So many rows without a value."""
    return _nulls(kind).rows(rows)


def thin(column: pa.Array) -> pa.Array:
    """The column; one without a value takes no memory of its own then."""
    return nulls(column.type, len(column)) if column.null_count == len(column) else column


class Absent:
    """What stands in a contract's columns where a record says nothing."""

    def __init__(self, contract: Contract) -> None:
        self._columns = {
            field.encode_name: _default(field, contract.schema.field(field.encode_name).type)
            for field in msgspec.structs.fields(contract.record)
        }
        self._unknown = _nulls(EXTRA.type)

    def column(self, name: str, rows: int) -> pa.Array:
        """So many rows of a column's default."""
        return self._columns[name].rows(rows)

    def unknown(self, rows: int) -> pa.Array:
        """So many rows without unknown fields."""
        return self._unknown.rows(rows)


def _default(field: msgspec.structs.FieldInfo, kind: pa.DataType) -> Repeated:
    if field.required or field.default is None:
        return _nulls(kind)
    return Repeated(field.default, kind)


def own_bytes(batch: pa.RecordBatch) -> int:
    """Memory that a batch takes beside the arrays kept here."""
    return sum(column.nbytes for column in batch.columns if column.null_count < batch.num_rows)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """One batch of all rows; None where there are none."""
    if len(batches) <= 1:
        return batches[0] if batches else None
    table = pa.Table.from_batches(batches)
    columns: list[Any] = [
        nulls(column.type, len(column)) if column.null_count == len(column) else column.combine_chunks()
        for column in table.columns
    ]
    return pa.record_batch(columns, schema=table.schema)
