"""Readings → events, made ahead of the moment when they are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from azure.eventhub import EventData

from services.simulator.bad_bodies import BadBody
from services.simulator.schedule import Due, Schedule
from services.simulator.vehicles.telemetry import Telemetry, to_batch, to_json
from shared.codec.arrow_bodies import write_stream
from shared.codec.bodies import ARROW, JSON, NDJSON

# Made at once, as numpy takes as long for 1 reading as for 200; bounds memory and the longest stretch.
_MIN_BLOCK, _SENDS_A_BLOCK = 256, 4


@dataclass(frozen=True, slots=True)
class EventFormat:
    """How readings become bodies: `pack` of them an event."""

    pack: int
    pack_format: Literal["ndjson", "arrow"]

    @property
    def content_type(self) -> str:
        if self.pack == 1:
            return JSON
        return ARROW if self.pack_format == "arrow" else NDJSON


@dataclass(frozen=True, slots=True)
class _Block:
    """Readings `first` … and their lines of JSON or their Arrow batch."""

    first: int
    due: Due
    made: Sequence[bytes] | pa.RecordBatch


class EventFeed:
    """The events of one partition's schedule."""

    def __init__(self, schedule: Schedule, telemetry: Telemetry, anchor_us: int, form: EventFormat) -> None:
        self._schedule = schedule
        self._telemetry = telemetry
        self.anchor_us = anchor_us
        self._form = form
        self._block = self._made(0, 0)

    def take(self, first: int, count: int) -> tuple[Due, list[EventData]]:
        """`count` readings from `first` on, and their events in order."""
        block = self._block
        start = first - block.first
        if start < 0 or start + count > len(block.due.vehicles):
            block = self._block = self._made(first, max(_MIN_BLOCK, _SENDS_A_BLOCK * count))
            start = 0
        due = block.due.part(start, start + count)
        return due, _events(self._form, block.made, start, count)

    def _made(self, first: int, count: int) -> _Block:
        due = self._schedule.readings(first, first + count)
        return _Block(first, due, _encoded(self._form, self._telemetry, due, self.anchor_us))


def events_of(form: EventFormat, telemetry: Telemetry, due: Due, anchor_us: int) -> list[EventData]:
    """Events of the readings, in order."""
    return _events(form, _encoded(form, telemetry, due, anchor_us), 0, len(due.vehicles))


def _encoded(
    form: EventFormat, telemetry: Telemetry, due: Due, anchor_us: int
) -> Sequence[bytes] | pa.RecordBatch:
    reading_at = (due.offsets_us + anchor_us).astype("datetime64[us]")
    columns = telemetry.columns(due.vehicles, due.reading_nos, reading_at)
    return to_batch(columns) if form.content_type == ARROW else to_json(columns)


def _events(
    form: EventFormat, made: Sequence[bytes] | pa.RecordBatch, start: int, count: int
) -> list[EventData]:
    packs = [
        (first, min(form.pack, start + count - first)) for first in range(start, start + count, form.pack)
    ]
    if isinstance(made, pa.RecordBatch):
        bodies = [write_stream(made.slice(first, length)) for first, length in packs]
    else:
        bodies = [b"\n".join(made[first : first + length]) for first, length in packs]
    return [_event(body, form.content_type) for body in bodies]


def _event(body: bytes, content_type: str) -> EventData:
    event = EventData(body)
    # The SDK encodes empty sections too, twice an event: without them a send costs a fifth less.
    message = event.raw_amqp_message
    message.annotations = message.application_properties = None
    message.header = None  # type: ignore[assignment]  # optional in AMQP, and the SDK asks whether it is there
    event.content_type = content_type
    return event


def bad_event(bad: BadBody) -> EventData:
    """A body that is bad on purpose, as an event."""
    event = _event(bad.body, bad.content_type)
    event.message_id = bad.message_id
    return event
