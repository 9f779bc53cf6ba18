"""The encoding of readings as events, in blocks and before the readings are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from services.simulator.bad_bodies import BadBody
from services.simulator.schedule import DueReadings, Schedule
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.streams.event_hubs.messages import EventData, make_event
from shared.vehicles.telemetry import Telemetry, to_batch, to_json

# Readings encoded together: numpy takes as long for 1 reading as for 200. The size limits memory and pauses.
_MIN_BLOCK, _SENDS_A_BLOCK = 256, 4


@dataclass(frozen=True, slots=True)
class EventFormat:
    """The format of event bodies, with `pack` readings in each event."""

    pack: int
    pack_format: Literal["ndjson", "arrow"]

    @property
    def content_type(self) -> str:
        if self.pack == 1:
            return JSON
        return ARROW if self.pack_format == "arrow" else NDJSON


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of consecutive readings that starts at number `first`, and their JSON lines or Arrow batch."""

    first: int
    readings: DueReadings
    encoded: Sequence[bytes] | pa.RecordBatch


class EventFeed:
    """A source of the events of one partition's schedule."""

    def __init__(
        self, schedule: Schedule, telemetry: Telemetry, anchor_us: int, event_format: EventFormat
    ) -> None:
        self._schedule = schedule
        self._telemetry = telemetry
        self.anchor_us = anchor_us
        self._event_format = event_format
        self._block = self._encode_block(0, 0)

    def encode(self, first: int, count: int) -> tuple[DueReadings, list[EventData]]:
        """Return `count` readings that start at number `first`, and the events that hold them in order."""
        block = self._block
        start = first - block.first
        if start < 0 or start + count > len(block.readings.vehicles):
            block = self._block = self._encode_block(first, max(_MIN_BLOCK, _SENDS_A_BLOCK * count))
            start = 0
        readings = block.readings.slice(start, start + count)
        return readings, _build_events(self._event_format, block.encoded, start, count)

    def _encode_block(self, first: int, count: int) -> _Block:
        due = self._schedule.readings(first, first + count)
        return _Block(first, due, _encode_readings(self._event_format, self._telemetry, due, self.anchor_us))


def encode_events(
    event_format: EventFormat, telemetry: Telemetry, due: DueReadings, anchor_us: int
) -> list[EventData]:
    """Encode readings as events, in the order of the readings."""
    return _build_events(
        event_format, _encode_readings(event_format, telemetry, due, anchor_us), 0, len(due.vehicles)
    )


def _encode_readings(
    event_format: EventFormat, telemetry: Telemetry, due: DueReadings, anchor_us: int
) -> Sequence[bytes] | pa.RecordBatch:
    reading_at = (due.offsets_us + anchor_us).astype("datetime64[us]")
    columns = telemetry.columns(due.vehicles, due.reading_nos, reading_at)
    return to_batch(columns) if event_format.content_type == ARROW else to_json(columns)


def _build_events(
    event_format: EventFormat, encoded: Sequence[bytes] | pa.RecordBatch, start: int, count: int
) -> list[EventData]:
    packs = [
        (first, min(event_format.pack, start + count - first))
        for first in range(start, start + count, event_format.pack)
    ]
    if isinstance(encoded, pa.RecordBatch):
        bodies = [write_stream(encoded.slice(first, length)) for first, length in packs]
    else:
        bodies = [b"\n".join(encoded[first : first + length]) for first, length in packs]
    return [_build_event(body, event_format.content_type) for body in bodies]


def _build_event(body: bytes, content_type: str) -> EventData:
    event = make_event(body, content_type)
    # The SDK encodes empty sections too, twice an event; without them a send costs a fifth less.
    message = event.raw_amqp_message
    message.annotations = message.application_properties = None
    message.header = None  # type: ignore[assignment]  # optional in AMQP, and the SDK checks for None
    return event


def build_bad_event(bad: BadBody) -> EventData:
    """Build the event that carries a bad body."""
    event = _build_event(bad.body, bad.content_type)
    event.message_id = bad.message_id
    return event
