"""A prediction, version 1: one market price with its interval and its lineage."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from shared.contract.field_types import count, signal, text, timestamp
from shared.contract.reading import ReadingNo, SchemaVersion, VehicleId

_MAX_PRICE = 1e9

FieldName = Annotated[str, text(about="A field of the reading", min_length=1)]


class Prediction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The price of one reading; `model` and `version` name the price model, `source_…` its raw row."""

    vehicle_id: VehicleId
    reading_no: ReadingNo
    reading_at: Annotated[datetime, timestamp("The reading's own reading_at")]
    predicted_at: Annotated[datetime, timestamp("When the price was computed")]
    schema_version: SchemaVersion = 1
    price: Annotated[float, signal("currency", 0, _MAX_PRICE, about="Market price")]
    lower: Annotated[float, signal("currency", 0, _MAX_PRICE, about="Lower end of the interval")]
    upper: Annotated[float, signal("currency", 0, _MAX_PRICE, about="Upper end of the interval")]
    currency: Annotated[str, text(about="ISO 4217", min_length=3, max_length=3)]
    coverage: Annotated[float, signal("share", 0, 1, about="Nominal coverage of the interval")]
    model: Annotated[str, text(about="Name of the price model", min_length=1)]
    version: Annotated[str, text(about="Version of the price model", min_length=1)]
    extrapolated: Annotated[
        tuple[FieldName, ...], Meta(description="Fields not seen in training", max_length=32)
    ]
    source_partition: Annotated[int, count(0, 2**31 - 1, about="Partition of the reading's raw row")]
    source_sequence_number: Annotated[
        int, count(0, 2**63 - 1, about="Sequence number of the reading's raw row")
    ]
    source_line: Annotated[int, count(0, 2**31 - 1, about="Line of the reading's raw row")]
