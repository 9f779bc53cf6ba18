"""Records by the fields that senders really fill: a narrow type decodes faster and makes fewer columns.

A shape is a contract less the fields that nobody has sent so far. It takes no record that the contract does
not take, and the same values from it; a record with more fields is none of it.
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

_EARLIEST_US, _LATEST_US = (int(moment.timestamp()) * 1_000_000 for moment in (EARLIEST, LATEST))


class UnsupportedTimestamp(Exception):
    """An instant in a form that only the record's own decoder reads."""


class RecordProjection:
    """Decodes records of some of a contract's fields; makes the contract's columns of them."""

    def __init__(self, contract: Contract, names: frozenset[str], *, texts: bool) -> None:
        """With `texts`, instants are read from whole columns, which takes a third of the time."""
        self.contract = contract
        self.names = names
        self.texts = texts
        self._absent = DefaultColumns(contract)
        fields = [one for one in msgspec.structs.fields(contract.record) if one.encode_name in names]
        record = msgspec.defstruct(
            contract.name,
            [_projected_field(field, texts=texts) for field in fields],
            kw_only=True,
            forbid_unknown_fields=True,
            gc=False,
        )
        decoder = msgspec.json.Decoder(record)
        self.record = decoder.decode
        self.lines = decoder.decode_lines
        places = {field.encode_name: place for place, field in enumerate(fields)}
        self._layout = [(name, places.get(name)) for name in contract.schema.names]
        self._instants = [at for at, one in enumerate(contract.schema) if pa.types.is_timestamp(one.type)]
        self._texts = {contract.schema.field(at).name for at in self._instants} if texts else set()
        types = {one.name: pa.string() if one.name in self._texts else one.type for one in contract.schema}
        self._kinds = [builder_for(types[name]) for name in places]

    def parts(self, records: Sequence[Struct]) -> list[Chunk]:
        """Some records, at least one, as a part of each column that the shape has."""
        columns = zip(*map(msgspec.structs.astuple, records), strict=True)
        return [kind.part(values) for kind, values in zip(self._kinds, columns, strict=True)]

    def batch(self, parts: Sequence[Sequence[Chunk]], rows: int) -> pa.RecordBatch:
        """The contract's columns, of all records up to the first with an instant outside every clock.

        Raises UnsupportedTimestamp.
        """
        of_columns = list(zip(*parts, strict=True))
        columns = [
            self._absent.column(name, rows) if place is None else self._column(name, place, of_columns, rows)
            for name, place in self._layout
        ]
        timely = min((_rows_in_range(columns[at]) for at in self._instants), default=rows)
        batch = pa.record_batch([*columns, self._absent.unknown(rows)], schema=self.contract.columns)
        return batch if timely == rows else batch.slice(0, timely)

    def _column(self, name: str, place: int, parts: Sequence[Sequence[Chunk]], rows: int) -> pa.Array:
        column = self._kinds[place].array(parts[place], rows)
        if name not in self._texts:
            return column
        instants = parse_timestamps(column)
        if instants is None:
            raise UnsupportedTimestamp(name)
        return instants


class ObservedProjection:
    """The shape of what was sent so far: it grows, to the whole contract at most."""

    def __init__(self, contract: Contract) -> None:
        self._fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._known = frozenset(contract.schema.names)
        required = {field.encode_name for field in msgspec.structs.fields(contract.record) if field.required}
        self.shape = RecordProjection(contract, frozenset(required), texts=True)

    def grow(self, records: Sequence[bytes]) -> bool:
        """Take in the fields of records that were not of the shape; whether there were new ones."""
        sent = {name for record in records for name in self._fields.decode(record)} & self._known
        if sent <= self.shape.names:
            return False
        self.shape = RecordProjection(self.shape.contract, self.shape.names | sent, texts=self.shape.texts)
        return True

    def read_instants_singly(self) -> None:
        """From now on: a sender writes them in a form that has to be read so."""
        self.shape = RecordProjection(self.shape.contract, self.shape.names, texts=False)


def _projected_field(field: msgspec.structs.FieldInfo, *, texts: bool) -> tuple[Any, ...]:
    kind = field.type
    if texts and _is_timestamp(kind):
        kind = str if field.required else str | None
    if field.required:
        return (field.encode_name, kind)
    return (field.encode_name, kind, field.default)


def _is_timestamp(kind: Any) -> bool:
    """A datetime, or one that may be absent, with what is declared about it."""
    if get_origin(kind) is Annotated or get_args(kind):
        return any(_is_timestamp(one) for one in get_args(kind))
    return kind is datetime


def _rows_in_range(instants: pa.Array) -> int:
    """How many rows there are before the first outside what every clock holds."""
    moments = instants.view(pa.int64())
    if moments.null_count:
        moments = moments.fill_null(_EARLIEST_US)
    numbers = moments.to_numpy()
    if not len(numbers) or (numbers.min() >= _EARLIEST_US and numbers.max() <= _LATEST_US):
        return len(numbers)
    return int(((numbers < _EARLIEST_US) | (numbers > _LATEST_US)).argmax())
