"""Projections: record types with only the fields that senders fill.

A type with fewer fields decodes faster and makes fewer columns. A projection is a contract without the fields
that no sender has filled so far. Every record that a projection decodes would decode to the same values with
the contract's full type. A record with other fields is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

import msgspec
import pyarrow as pa
from msgspec import Struct

from shared.codec.fast_path.arrow_builders import Chunk, builder_for
from shared.codec.fast_path.null_columns import DefaultColumns
from shared.codec.fast_path.timestamps import parse_timestamps
from shared.contract.columns import Contract
from shared.contract.field_types import EARLIEST, LATEST

_EARLIEST_US, _LATEST_US = (int(limit.timestamp()) * 1_000_000 for limit in (EARLIEST, LATEST))


class UnsupportedTimestamp(Exception):
    """A timestamp is in a form that only the record-by-record decoder reads."""


class RecordProjection:
    """A decoder of records with some of a contract's fields, and a builder of all the contract's columns."""

    def __init__(self, contract: Contract, fields: frozenset[str], *, timestamps_as_text: bool) -> None:
        """Create a projection of `contract` onto `fields`.

        If `timestamps_as_text` is true, timestamps are parsed by whole columns, in a third of the time.
        """
        self.contract = contract
        self.fields = fields
        self.timestamps_as_text = timestamps_as_text
        self._defaults = DefaultColumns(contract)
        declared = [one for one in msgspec.structs.fields(contract.record) if one.encode_name in fields]
        record = msgspec.defstruct(
            contract.name,
            [_projected_field(field, timestamp_as_text=timestamps_as_text) for field in declared],
            kw_only=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        decoder = msgspec.json.Decoder(record)
        self.decode = decoder.decode
        self.decode_lines = decoder.decode_lines
        indexes = {field.encode_name: index for index, field in enumerate(declared)}
        self._columns = [(name, indexes.get(name)) for name in contract.schema.names]
        self._timestamps = [at for at, one in enumerate(contract.schema) if pa.types.is_timestamp(one.type)]
        self._texts = (
            {contract.schema.field(at).name for at in self._timestamps} if timestamps_as_text else set()
        )
        types = {one.name: pa.string() if one.name in self._texts else one.type for one in contract.schema}
        self._builders = [builder_for(types[name]) for name in indexes]

    def pack(self, records: Sequence[Struct]) -> list[Chunk]:
        """Pack `records`, which must not be empty, into one chunk for each column of the projection."""
        columns = zip(*map(msgspec.structs.astuple, records), strict=True)
        return [builder.pack(values) for builder, values in zip(self._builders, columns, strict=True)]

    def build_batch(self, chunks: Sequence[Sequence[Chunk]], rows: int) -> pa.RecordBatch:
        """Build the contract's columns from packed records, up to the first timestamp out of range.

        Raises UnsupportedTimestamp if timestamps are parsed as text and one has an unsupported form.
        """
        by_column = list(zip(*chunks, strict=True))
        columns = [
            self._defaults.column(name, rows)
            if index is None
            else self._build_column(name, index, by_column[index], rows)
            for name, index in self._columns
        ]
        in_range = min((_rows_in_range(columns[at]) for at in self._timestamps), default=rows)
        batch = pa.record_batch([*columns, self._defaults.null_extra(rows)], schema=self.contract.columns)
        return batch if in_range == rows else batch.slice(0, in_range)

    def _build_column(self, name: str, index: int, chunks: Sequence[Chunk], rows: int) -> pa.Array:
        column = self._builders[index].build(chunks, rows)
        if name not in self._texts:
            return column
        timestamps = parse_timestamps(column)
        if timestamps is None:
            raise UnsupportedTimestamp(name)
        return timestamps


class ObservedProjection:
    """A projection onto the required fields and those sent so far; it grows up to the whole contract."""

    def __init__(self, contract: Contract) -> None:
        self._decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._known = frozenset(contract.schema.names)
        required = {field.encode_name for field in msgspec.structs.fields(contract.record) if field.required}
        self.projection = RecordProjection(contract, frozenset(required), timestamps_as_text=True)

    def add_fields(self, records: Sequence[bytes]) -> bool:
        """Extend the projection by the fields of `records`, which the projection refused.

        Return True if at least one field was new.
        """
        sent = {name for record in records for name in self._decoder.decode(record)} & self._known
        old = self.projection
        if sent <= old.fields:
            return False
        self.projection = RecordProjection(
            old.contract, old.fields | sent, timestamps_as_text=old.timestamps_as_text
        )
        return True

    def decode_timestamps_per_record(self) -> None:
        """Stop parsing timestamps a whole column at a time.

        Call this once a sender writes timestamps in a form that the column parser does not support.
        """
        old = self.projection
        self.projection = RecordProjection(old.contract, old.fields, timestamps_as_text=False)


def _projected_field(field: msgspec.structs.FieldInfo, *, timestamp_as_text: bool) -> tuple[Any, ...]:
    declared = field.type
    if timestamp_as_text and _is_timestamp(declared):
        declared = str if field.required else str | None
    if field.required:
        return (field.encode_name, declared)
    return (field.encode_name, declared, field.default)


def _is_timestamp(declared: Any) -> bool:
    """Return whether a type is datetime, alone or within Annotated or an optional type."""
    if get_origin(declared) is Annotated or get_args(declared):
        return any(_is_timestamp(one) for one in get_args(declared))
    return declared is datetime


def _rows_in_range(timestamps: pa.Array) -> int:
    """Return the number of rows before the first timestamp out of range."""
    microseconds = timestamps.view(pa.int64())
    if microseconds.null_count:
        microseconds = microseconds.fill_null(_EARLIEST_US)
    numbers = microseconds.to_numpy()
    if not len(numbers) or (numbers.min() >= _EARLIEST_US and numbers.max() <= _LATEST_US):
        return len(numbers)
    return int(((numbers < _EARLIEST_US) | (numbers > _LATEST_US)).argmax())
