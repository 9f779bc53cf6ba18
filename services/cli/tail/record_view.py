"""Formats a record of a hub as a line for machines or as cells for people (pure)."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from shared.codec.body_decoder import BadLine
from shared.contract.prediction import Prediction
from shared.contract.reading import Reading

Cell = tuple[str, int, str]  # text, width (below 0: right-aligned), style


class Place(Struct, frozen=True):
    """The place of a record in its hub."""

    partition: int
    sequence_number: int
    offset: str
    line: int
    enqueued_at: datetime


class TailRecord(Struct, frozen=True):
    """A record, or a line of an event that could not be decoded.

    `doubles_dropped` counts all doubled predictions that were skipped so far; None for a stream whose doubles
    are shown. `doubles_before` counts those skipped directly before this record.
    """

    place: Place
    record: Reading | Prediction | BadLine
    extra: str | None = None
    content_type: str | None = None
    doubles_dropped: int | None = None
    doubles_before: int = 0

    @property
    def vehicle_id(self) -> str | None:
        return None if isinstance(self.record, BadLine) else self.record.vehicle_id

    def json_line(self) -> str:
        """Return one JSON object with the fields of the record or of the bad line, then of its place."""
        fields: dict[str, Any]
        if isinstance(self.record, BadLine):
            body = base64.b64encode(self.record.body).decode()
            fields = {"reason": self.record.reason, "content_type": self.content_type, "body": body}
        else:
            fields = msgspec.to_builtins(self.record, builtin_types=(datetime,))
            if self.extra:
                fields["extra"] = msgspec.Raw(self.extra.encode())
        if self.doubles_dropped is not None:
            fields["doubles_dropped"] = self.doubles_dropped
        return msgspec.json.encode({**fields, **msgspec.structs.asdict(self.place)}).decode()

    def cells(self) -> Iterator[Cell]:
        """Yield the columns of the record for people."""
        place = self.place
        yield f"{place.enqueued_at.astimezone(UTC):%H:%M:%S.%f}"[:-3], 12, "dim"
        match self.record:
            case Reading():
                yield from _reading_cells(self.record)
            case Prediction():
                yield from _prediction_cells(self.record, place)
            case BadLine(reason=reason, body=body):
                yield "bad record", 16, "red"
                yield f"{reason} ({len(body):,} bytes)", 75, "red"
        yield f"{place.partition}:{place.offset} #{place.sequence_number}.{place.line}", 0, "dim"
        if self.doubles_before:
            yield f"{self.doubles_before:,} doubles dropped before it", 0, "yellow"


def _reading_cells(reading: Reading) -> Iterator[Cell]:
    yield reading.vehicle_id, 16, "bold"
    yield f"{reading.reading_no:,}", -9, ""
    yield f"{reading.make} {reading.model} {reading.year}", 30, "cyan"
    yield _format_measure(reading.speed_kmh, "km/h"), -12, ""
    yield _format_measure(reading.odometer_km, "km"), -14, ""


def _prediction_cells(prediction: Prediction, place: Place) -> Iterator[Cell]:
    latency_ms = (place.enqueued_at - prediction.reading_at).total_seconds() * 1_000
    yield prediction.vehicle_id, 16, "bold"
    yield f"{prediction.reading_no:,}", -9, ""
    yield f"{prediction.price:,.0f} {prediction.currency}", -14, "green"
    yield f"{prediction.lower:,.0f} to {prediction.upper:,.0f}", 18, ""
    yield f"{prediction.model} {prediction.version}", 10, "cyan"
    yield f"{latency_ms:,.0f} ms", -10, ""
    yield "extrapolated" if prediction.extrapolated else "", 12, "yellow"


def _format_measure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.1f} {unit}"


def format_plain(cells: Iterator[Cell]) -> str:
    """Return the cells as aligned columns; a cell that is too long is not cut, but shifts the rest."""
    return "  ".join(_align(text, width) for text, width, _ in cells).rstrip()


def _align(text: str, width: int) -> str:
    # A sender's text may contain control characters of the terminal.
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return shown.rjust(-width) if width < 0 else shown.ljust(width)


def format_styled(cells: Iterator[Cell]) -> list[tuple[str, str]]:
    """Return the cells as aligned columns, each with its style."""
    return [(_align(text, width) + "  ", style) for text, width, style in cells]
