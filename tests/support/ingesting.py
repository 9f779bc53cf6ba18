"""Ingest as its process runs it, the hub filled by the unmodified SDK, the lake read straight from disk."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import REGISTRY

from services.ingest.__main__ import serve
from services.ingest.settings import IngestSettings
from shared.contract.columns import BY_STREAM
from shared.contract.reading import Reading
from tests.support.embedded_stack import PATIENCE_S
from tests.support.processes import environment_of, process

STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def reading(vehicle, number, **fields):
    """Make a valid reading."""
    return Reading(
        **{
            "vehicle_id": f"v{vehicle}",
            "reading_no": number,
            "reading_at": STARTED_AT,
            "make": "Ford",
            "model": "Focus",
            "year": 2019,
            "speed_kmh": float(number % 130),
            **fields,
        }
    )


def json_event(vehicle, number, **fields):
    return body_event(msgspec.json.encode(reading(vehicle, number, **fields)), "application/json")


def readings(start, stop, vehicle=1):
    """Make events of one vehicle, numbered from `start` to before `stop`."""
    return [json_event(vehicle, number) for number in range(start, stop)]


def body_event(body, content_type=None):
    event = EventData(body)
    event.content_type = content_type
    return event


class Lake:
    """The raw zone as any tool on the laptop sees it."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "storage" / "devstoreaccount1" / "lake"
        self._read = {}  # a committed file never changes

    def files(self, stream="telemetry"):
        return sorted((self.root / "raw" / stream).glob("date=*/hour=*/p*.parquet"))

    def rows(self, stream="telemetry"):
        schema = BY_STREAM[stream].raw_schema
        for path in self.files(stream):
            if path not in self._read:
                self._read[path] = pq.ParquetFile(path).read().replace_schema_metadata()
        tables = [self._read[path] for path in self.files(stream)]
        return pa.concat_tables([schema.empty_table(), *tables])

    def keys(self, stream="telemetry"):
        """Count each reading in the lake."""
        rows = self.rows(stream)
        return Counter(zip(rows["vehicle_id"].to_pylist(), rows["reading_no"].to_pylist(), strict=True))

    def footers(self, stream="telemetry"):
        found = []
        for path in self.files(stream):
            values = pq.read_metadata(path).metadata
            found.append(
                {key.decode(): value.decode() for key, value in values.items() if key != b"ARROW:schema"}
            )
        return found

    def letters(self, stream="telemetry"):
        """Dead letters that count: those of files that a footer names."""
        return [
            msgspec.json.decode(line)
            for footer in self.footers(stream)
            if footer["dead_letter"]
            for line in (self.root / footer["dead_letter"]).read_bytes().splitlines()
        ]


@asynccontextmanager
async def sending(world, hub="telemetry"):
    """Open a producer; yield `send(events, partition)`, which packs them into full batches."""
    client = EventHubProducerClient.from_connection_string(world.hub.connection_string, eventhub_name=hub)

    async def send(events, partition="0"):
        batch = await client.create_batch(partition_id=partition)
        for event in events:
            try:
                batch.add(event)
            except ValueError:
                await client.send_batch(batch)
                batch = await client.create_batch(partition_id=partition)
                batch.add(event)
        await client.send_batch(batch)

    async with client:
        yield send


async def send(world, events, hub="telemetry", partition="0"):
    async with sending(world, hub) as send_now:
        await send_now(events, partition)


@dataclass
class Running:
    task: asyncio.Task
    stop: asyncio.Event

    async def ended(self):
        """Wait until it has ended by itself."""
        done, _ = await asyncio.wait([self.task], timeout=PATIENCE_S)
        assert done


def assert_once(lake, count):
    """Assert that the lake holds `count` readings, each once."""
    keys = lake.keys()
    assert len(keys) == count
    assert set(keys.values()) == {1}


def next_sequence(partition="0", hub="telemetry"):
    """Return the next sequence number of a partition, by ingest's own gauge."""
    labels = {"hub": hub, "partition": partition}
    return REGISTRY.get_sample_value("fleetprice_streams_next_sequence_number", labels)


@asynccontextmanager
async def ingesting(world, **values):
    """Ingest until the end of the block, then drain as by SIGTERM."""
    settings = world.settings(
        IngestSettings,
        **{"streams": "telemetry", "roll_max_age_s": 0.3, "balancing_interval_s": 0.3, **values},
    )
    stop = asyncio.Event()
    task = asyncio.create_task(serve(settings, stop))
    try:
        yield Running(task, stop)
    finally:
        stop.set()
        ended, _ = await asyncio.wait([task], timeout=PATIENCE_S)
    assert ended, "ingest does not end"
    task.result()


def process_environment(world, **variables):
    """Return the environment of an ingest process that lands telemetry at once."""
    landing = {"FLEETPRICE_INGEST_STREAMS": "telemetry", "FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "0.3"}
    return environment_of(world, **(landing | variables))


def ingest_process(world, **variables):
    """Run ingest as a process; it is killed at the end if it still runs."""
    return process("services.ingest", process_environment(world, **variables))


async def until(condition):
    """Wait until the lake on disk is as it should be."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - a disk sends no signal
            await asyncio.sleep(0.05)


async def checkpoints(world):
    """Return the metadata of the checkpoint blobs by name."""
    async with BlobServiceClient.from_connection_string(world.storage.connection_string) as client:
        container = client.get_container_client("checkpoints")
        blobs = [blob async for blob in container.list_blobs(include=["metadata"])]
    return {blob.name: blob.metadata for blob in blobs if "/checkpoint/" in blob.name}
