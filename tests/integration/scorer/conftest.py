"""A scorer in this process against the real servers, readings to feed it and what it published."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pytest
from azure.eventhub import EventData

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.contract.arrow_bodies import write_stream
from shared.contract.bodies import ARROW, JSON, NDJSON
from shared.contract.columns import READING, batch_of
from shared.contract.reading import Reading
from shared.hubs.clients import body_of, consumer_client, producer_client
from shared.hubs.partition_stream import Gap, partition_events
from shared.hubs.predictions import PredictionReader

READING_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Fleet:
    """Makes readings and sends them to the telemetry hub."""

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
        batch = batch_of(READING, self.readings(count, **fields), [None] * count)
        return as_event(write_stream(batch.select(READING.schema.names)), ARROW)

    async def send(self, events, partition="0", hub="telemetry"):
        async with producer_client(self.settings, hub) as producer:
            for start in range(0, len(events), 500):
                batch = await producer.create_batch(partition_id=partition)
                for event in events[start : start + 500]:
                    batch.add(event)
                await producer.send_batch(batch)


def as_event(body, content_type):
    event = EventData(body)
    event.content_type = content_type
    return event


@dataclass
class Published:
    """What stands in the predictions hub."""

    settings: ScorerSettings

    async def first(self, count):
        """The first `count` predictions as the client library's reader gives them."""
        found = []
        async with asyncio.timeout(60):
            async for received in PredictionReader(self.settings):
                found.append(received.prediction)
                if len(found) == count:
                    return found

    async def all(self, per_partition=None):
        """Every prediction that is there now, and the reader that gave them."""
        hub = self.settings.predictions_hub
        async with consumer_client(self.settings, hub, "$Default") as client:
            until = {
                one: (await client.get_partition_properties(one))["last_enqueued_sequence_number"]
                for one in await client.get_partition_ids()
            }
        reader = PredictionReader(self.settings, until=until)
        async with asyncio.timeout(60):
            return [received.prediction async for received in reader], reader

    async def events(self, partition="0", through=0):
        """Raw output events of a partition, through sequence number `through`."""
        hub = self.settings.predictions_hub
        async with asyncio.timeout(60), consumer_client(self.settings, hub, "$Default") as client:
            return [
                event
                async for batch in partition_events(client, partition, until=through)
                if not isinstance(batch, Gap)
                for event in batch
            ]


@asynccontextmanager
async def running(settings):
    """A scorer until the end of the block; what it raises is raised there."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        await task


@pytest.fixture
def settings(world):
    return world.settings(ScorerSettings, http=False)


@pytest.fixture
def scorer(settings):
    """`async with scorer(**settings):` runs one."""
    return lambda **values: running(settings.model_copy(update=values))


@pytest.fixture
def fleet(settings):
    return Fleet(settings)


@pytest.fixture
def published(settings):
    return Published(settings)


@pytest.fixture
def arrow_rows():
    return lambda event: pa.ipc.open_stream(body_of(event)).read_all()
