"""A scorer in this process against the real servers, readings to feed it and what it published."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from azure.eventhub import EventData

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.reading import Reading
from shared.predictions.reader import PredictionReader
from shared.streams.event_hubs.clients import consumer_client, producer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.partition_events import Gap, partition_events
from tests.support.embedded_stack import PATIENCE_S
from tests.support.processes import environment_of, run_python

READING_AT = datetime(2026, 1, 1, tzinfo=UTC)


EVENTS_PER_SEND = 500


@dataclass
class Fleet:
    """A fleet that makes readings, counted up per vehicle, and sends them to the telemetry hub."""

    settings: ScorerSettings
    numbers: dict[str, int] = field(default_factory=dict)

    def readings(self, count, vehicle="v1", **fields):
        start = self.numbers.get(vehicle, 0)
        self.numbers[vehicle] = start + count
        values = {"make": "Ford", "model": " focus", "year": 2017, "odometer_km": 45_000.0, **fields}
        return [
            Reading(vehicle_id=vehicle, reading_no=number, reading_at=READING_AT, **values)
            for number in range(start + 1, start + count + 1)
        ]

    def singles(self, count, **fields):
        return [as_event(msgspec.json.encode(one), JSON) for one in self.readings(count, **fields)]

    def ndjson(self, count, **fields):
        return as_event(msgspec.json.Encoder().encode_lines(self.readings(count, **fields)), NDJSON)

    def arrow(self, count, **fields):
        batch = build_batch(READING, self.readings(count, **fields), [None] * count)
        return as_event(write_stream(batch.select(READING.schema.names)), ARROW)

    async def send(self, events, partition="0", hub="telemetry"):
        async with producer_client(HubConnection.from_settings(self.settings), hub) as producer:
            for start in range(0, len(events), EVENTS_PER_SEND):
                batch = await producer.create_batch(partition_id=partition)
                for event in events[start : start + EVENTS_PER_SEND]:
                    batch.add(event)
                await producer.send_batch(batch)


def as_event(body, content_type=None):
    event = EventData(body)
    event.content_type = content_type
    return event


class Published:
    """The predictions that the client library's reader yields, in the order of arrival."""

    def __init__(self, settings):
        self.settings = settings
        self.reader = PredictionReader(HubConnection.from_settings(settings), settings.predictions_hub)
        self._predictions = []
        self._arrival = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        async for received in self.reader:
            self._predictions.append(received.prediction)
            self._arrival.set()

    async def of(self, vehicle, count):
        """Return all predictions of a vehicle, as soon as there are `count`."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := [one for one in self._predictions if one.vehicle_id == vehicle]) < count:
                self._arrival.clear()
                await self._arrival.wait()
        return found

    async def events(self, partition="0"):
        """Return all raw output events of a partition."""
        hub = self.settings.predictions_hub
        async with consumer_client(HubConnection.from_settings(self.settings), hub, "$Default") as client:
            last = (await client.get_partition_properties(partition))["last_enqueued_sequence_number"]
            return [
                event
                async for batch in partition_events(client, partition, until=last)
                if not isinstance(batch, Gap)
                for event in batch
            ]

    async def close(self):
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def running(settings):
    """Run a scorer until the end of the block, and raise its exception there."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await task


def stream_environment(world, **variables):
    """Return the environment of a scorer's process that serves no HTTP."""
    return environment_of(world, FLEETPRICE_SCORER_HTTP="false", **variables)


@asynccontextmanager
async def supervised(world, **variables):
    """Restart a scorer whenever it dies, until the end of the block; yield its exit codes."""
    exits = []

    async def live_for_ever():
        while True:
            exits.append(await run_python(("-m", "services.scorer"), stream_environment(world, **variables)))

    task = asyncio.create_task(live_for_ever())
    try:
        yield exits
    finally:
        task.cancel()
        await asyncio.wait([task])  # its process has ended by then


@dataclass
class Live:
    """One scorer that many tests feed, each with a vehicle of its own."""

    fleet: Fleet
    published: Published
