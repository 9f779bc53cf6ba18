"""Columns that a sender left out: slices of arrays made once, so that they cost no time and no memory."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from shared.contract.columns import EXTRA, Contract

_CACHED_ROWS = 2**15


class ConstantColumn:
    """A column of one value, of any length."""

    def __init__(self, value: Any, declared: pa.DataType) -> None:
        self._value = pa.scalar(value, declared)
        self._cached = pa.repeat(self._value, _CACHED_ROWS)

    def array(self, rows: int) -> pa.Array:
        """Return the column with `rows` rows; it takes no memory of its own up to the cached length."""
        return self._cached.slice(0, rows) if rows <= _CACHED_ROWS else pa.repeat(self._value, rows)


@lru_cache(maxsize=1_024)
def _null_constant(declared: pa.DataType) -> ConstantColumn:
    return ConstantColumn(None, declared)


def null_column(declared: pa.DataType, rows: int) -> pa.Array:
    """Return a column of `rows` nulls."""
    return _null_constant(declared).array(rows)


def share_nulls(column: pa.Array) -> pa.Array:
    """Return the column, or the shared null column of its length if it has no value."""
    return null_column(column.type, len(column)) if column.null_count == len(column) else column


class DefaultColumns:
    """The default columns of a contract, for fields that no record has."""

    def __init__(self, contract: Contract) -> None:
        self._columns = {
            field.encode_name: _default_column(field, contract.schema.field(field.encode_name).type)
            for field in msgspec.structs.fields(contract.record)
        }
        self._extra = _null_constant(EXTRA.type)

    def column(self, name: str, rows: int) -> pa.Array:
        """Return `rows` rows of a column's default."""
        return self._columns[name].array(rows)

    def null_extra(self, rows: int) -> pa.Array:
        """Return the `extra` column of `rows` rows without unknown fields."""
        return self._extra.array(rows)


def _default_column(field: msgspec.structs.FieldInfo, declared: pa.DataType) -> ConstantColumn:
    if field.required or field.default is None:
        return _null_constant(declared)
    return ConstantColumn(field.default, declared)


def unshared_bytes(batch: pa.RecordBatch) -> int:
    """Return the bytes of a batch without those of the shared null columns."""
    return sum(column.nbytes for column in batch.columns if column.null_count < batch.num_rows)


def join_batches(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """Join batches of one schema. Return None if there are none."""
    if len(batches) <= 1:
        return batches[0] if batches else None
    table = pa.Table.from_batches(batches)
    columns: list[Any] = [
        null_column(column.type, len(column)) if column.null_count == len(column) else column.combine_chunks()
        for column in table.columns
    ]
    return pa.record_batch(columns, schema=table.schema)
