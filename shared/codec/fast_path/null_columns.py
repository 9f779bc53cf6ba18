"""Columns for fields that a sender left out.

They are slices of arrays that are made once, so they cost almost no time and no memory.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from shared.contract.columns import EXTRA, Contract

_CACHED_ROWS = 2**15


class ConstantColumn:
    """A factory of columns in which every row has the same value."""

    def __init__(self, value: Any, declared: pa.DataType) -> None:
        self._value = pa.scalar(value, declared)
        self._cached = pa.repeat(self._value, _CACHED_ROWS)

    def array(self, rows: int) -> pa.Array:
        """Return a column of `rows` rows; up to 32,768 rows it shares the memory of a cached array."""
        return self._cached.slice(0, rows) if rows <= _CACHED_ROWS else pa.repeat(self._value, rows)


@lru_cache(maxsize=1_024)
def _null_constant(declared: pa.DataType) -> ConstantColumn:
    return ConstantColumn(None, declared)


def null_column(declared: pa.DataType, rows: int) -> pa.Array:
    """Return a column of the type `declared` with `rows` nulls."""
    return _null_constant(declared).array(rows)


def share_nulls(column: pa.Array) -> pa.Array:
    """Return `column`, or a shared null column of the same length if all its values are null."""
    return null_column(column.type, len(column)) if column.null_count == len(column) else column


class DefaultColumns:
    """The columns of a contract filled with their default values, for fields that no record has."""

    def __init__(self, contract: Contract) -> None:
        self._columns = {
            field.encode_name: _default_column(field, contract.schema.field(field.encode_name).type)
            for field in msgspec.structs.fields(contract.record)
        }
        self._extra = _null_constant(EXTRA.type)

    def column(self, name: str, rows: int) -> pa.Array:
        """Return `rows` rows of the default value of the column `name`."""
        return self._columns[name].array(rows)

    def null_extra(self, rows: int) -> pa.Array:
        """Return the column `extra` for `rows` rows that have no unknown fields."""
        return self._extra.array(rows)


def _default_column(field: msgspec.structs.FieldInfo, declared: pa.DataType) -> ConstantColumn:
    if field.required or field.default is None:
        return _null_constant(declared)
    return ConstantColumn(field.default, declared)


def unshared_bytes(batch: pa.RecordBatch) -> int:
    """Return the size of a batch in bytes, without columns that are all null (their memory is shared)."""
    return sum(column.nbytes for column in batch.columns if column.null_count < batch.num_rows)


def join_batches(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
    """Join batches that have the same schema into one. Return None if `batches` is empty."""
    if len(batches) <= 1:
        return batches[0] if batches else None
    table = pa.Table.from_batches(batches)
    columns: list[Any] = [
        null_column(column.type, len(column)) if column.null_count == len(column) else column.combine_chunks()
        for column in table.columns
    ]
    return pa.record_batch(columns, schema=table.schema)
