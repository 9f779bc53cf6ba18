"""A contract in Arrow: columns derived from a record type."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from msgspec import Struct, inspect

from shared.contract.prediction import Prediction
from shared.contract.reading import Reading

INSTANT = pa.timestamp("us", tz="UTC")
MAX_RECORD_BYTES = 64 * 2**10
EXTRA = pa.field("extra", pa.string())
# Every raw row has these, so that a reading, its raw row and its prediction lead to each other.
LINEAGE = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("sequence_number", pa.int64(), nullable=False),
        pa.field("offset", pa.string(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("enqueued_at", INSTANT, nullable=False),
    ]
)
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Contract:
    """The records of one stream: their type, and the columns of its fields in the type's order."""

    name: str
    version: int
    record: type[Struct]
    schema: pa.Schema

    @cached_property
    def columns(self) -> pa.Schema:
        """The record's own columns and `extra`: its unknown fields as a JSON object, or null."""
        return self.schema.append(EXTRA)

    @cached_property
    def raw_schema(self) -> pa.Schema:
        """The columns of a raw row: the record's columns, `extra` and LINEAGE."""
        return pa.schema([*self.columns, *LINEAGE])


def contract_from_record(record: type[Struct], version: int) -> Contract:
    """Build the contract of a record type."""
    fields = [_arrow_field(field) for field in declared_fields(record)]
    return Contract(record.__name__.lower(), version, record, pa.schema(fields))


def declared_fields(record: type[Struct]) -> tuple[inspect.Field, ...]:
    """Return a record type's fields with their declared types."""
    info = inspect.type_info(record)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{record.__name__} is no msgspec Struct")
    return info.fields


def _arrow_field(field: inspect.Field) -> pa.Field:
    declared, _ = plain_type(field.type)
    return pa.field(field.encode_name, _arrow_type(declared), nullable=not field.required)


def plain_type(declared: inspect.Type) -> tuple[inspect.Type, bool]:
    """Return a field's type without metadata and without None, and True if None is allowed."""
    nullable = False
    if isinstance(declared, inspect.UnionType):
        nullable = True
        (declared,) = [one for one in declared.types if not isinstance(one, inspect.NoneType)]
    if isinstance(declared, inspect.Metadata):
        declared = declared.type
    return declared, nullable


def _arrow_type(declared: inspect.Type) -> pa.DataType:
    match declared:
        case inspect.IntType(ge=low, le=high):
            return pa.int32() if _fits_int32(low) and _fits_int32(high) else pa.int64()
        case inspect.FloatType():
            return pa.float64()
        case inspect.BoolType():
            return pa.bool_()
        case inspect.DateTimeType():
            return INSTANT
        case inspect.VarTupleType(item_type=item):
            return pa.list_(_arrow_type(plain_type(item)[0]))
        case inspect.StrType():
            return pa.string()
    raise TypeError(f"no Arrow type for {declared}")


def _fits_int32(bound: float | None) -> bool:
    return bound is not None and abs(bound) <= _INT32_MAX


READING = contract_from_record(Reading, 1)
PREDICTION = contract_from_record(Prediction, 1)
BY_STREAM = {"telemetry": READING, "predictions": PREDICTION}
