"""Columns that a sender left out: slices of arrays made once, so that they cost neither time nor memory."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from shared.contract.columns import EXTRA, Contract

_KEPT_ROWS = 2**15


class ConstantColumn:
    """Rows of one value."""

    def __init__(self, value: Any, kind: pa.DataType) -> None:
        self._value = pa.scalar(value, kind)
        self._kept = pa.repeat(self._value, _KEPT_ROWS)

    def rows(self, count: int) -> pa.Array:
        """So many of them."""
        return self._kept.slice(0, count) if count <= _KEPT_ROWS else pa.repeat(self._value, count)


@lru_cache(maxsize=1_024)
def _null_constant(kind: pa.DataType) -> ConstantColumn:
    return ConstantColumn(None, kind)


def null_column(kind: pa.DataType, rows: int) -> pa.Array:
    """So many rows without a value."""
    return _null_constant(kind).rows(rows)


def share_nulls(column: pa.Array) -> pa.Array:
    """The column; one without a value takes no memory of its own then."""
    return null_column(column.type, len(column)) if column.null_count == len(column) else column


class DefaultColumns:
    """What stands in a contract's columns where a record says nothing."""

    def __init__(self, contract: Contract) -> None:
        self._columns = {
            field.encode_name: _default_column(field, contract.schema.field(field.encode_name).type)
            for field in msgspec.structs.fields(contract.record)
        }
        self._unknown = _null_constant(EXTRA.type)

    def column(self, name: str, rows: int) -> pa.Array:
        """So many rows of a column's default."""
        return self._columns[name].rows(rows)

    def unknown(self, rows: int) -> pa.Array:
        """So many rows without unknown fields."""
        return self._unknown.rows(rows)


def _default_column(field: msgspec.structs.FieldInfo, kind: pa.DataType) -> ConstantColumn:
    if field.required or field.default is None:
        return _null_constant(kind)
    return ConstantColumn(field.default, kind)


def unshared_bytes(batch: pa.RecordBatch) -> int:
    """Memory that a batch takes beside the arrays kept here."""
    return sum(column.nbytes for column in batch.columns if column.null_count < batch.num_rows)


def join_batches(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """One batch of all rows; None where there are none."""
    if len(batches) <= 1:
        return batches[0] if batches else None
    table = pa.Table.from_batches(batches)
    columns: list[Any] = [
        null_column(column.type, len(column)) if column.null_count == len(column) else column.combine_chunks()
        for column in table.columns
    ]
    return pa.record_batch(columns, schema=table.schema)
