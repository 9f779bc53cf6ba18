"""The manifest follows the commits: each committed file is published at least once, in order, no other."""

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from services.emulator.event_hubs.faults import Fault
from services.ingest.__main__ import serve
from services.ingest.settings import IngestSettings
from shared.service.errors import SettingsError
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.messages import read_body
from shared.streams.event_hubs.partition_events import Gap, partition_events
from tests.integration.ingest.test_kill import INTACT, Victim
from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import body_event, ingesting, json_event, send, sending, until

HUB = "files"


@pytest.fixture
def files_hub(world):
    world.hub.create_hub(HUB, partition_count=2)
    return HUB


@asynccontextmanager
async def telling(world, **values):
    async with ingesting(world, manifest_hub=HUB, **values) as running:
        yield running


async def told(world):
    """Every record in the manifest's hub, by its partition, in order."""
    records = []
    async with consumer_client(world.connection(), HUB, "$Default") as client:
        for partition in await client.get_partition_ids():
            known = await client.get_partition_properties(partition)
            if not known["is_empty"]:
                last = known["last_enqueued_sequence_number"]
                async for events in partition_events(client, partition, until=last):
                    records += (
                        [] if isinstance(events, Gap) else [json.loads(read_body(one)) for one in events]
                    )
    return records


def paths(records):
    return [record["id"] for record in records]


def committed(lake, stream="telemetry"):
    return [str(path.relative_to(lake.root)) for path in lake.files(stream)]


async def all_told(world, lake, paths_of=committed):
    """Wait until each committed file is published; return the records."""
    records = []
    async with asyncio.timeout(PATIENCE_S):
        while not records or not set(paths(records)) >= set(paths_of(lake)):
            await asyncio.sleep(0.1)
            records = await told(world)
    return records


async def test_each_committed_file_is_told(world, lake, files_hub):
    """A record has the file's path, its contents and when its events came, in Capture's terms."""
    async with telling(world):
        await send(world, [json_event(1, number) for number in range(1, 6)], partition="3")
        await until(lambda: len(lake.keys()) == 5)
        (record, *_) = await all_told(world, lake)
    (path,) = committed(lake)
    data = record["data"]
    assert (record["id"], record["type"], record["source"]) == (
        path,
        "fleetprice.RawFileCommitted",
        "telemetry",
    )
    assert data["fileUrl"].endswith(path.replace("=", "%3D"))
    assert (data["partitionId"], data["eventCount"], data["rowCount"]) == ("3", 5, 5)
    assert (data["firstSequenceNumber"], data["lastSequenceNumber"]) == (0, 4)
    assert data["sizeInBytes"] == (lake.root / path).stat().st_size
    enqueued = lake.rows()["enqueued_at"].to_pylist()
    assert datetime.fromisoformat(data["firstEnqueueTime"]) == min(enqueued)
    assert datetime.fromisoformat(data["lastEnqueueTime"]) == max(enqueued)


async def test_a_file_without_rows_is_told_too(world, lake, files_hub):
    """A range of nothing but bad records is a file of the chain: its record names the dead letters."""
    async with telling(world):
        await send(world, [body_event(b"no record", "application/json")])
        await until(lambda: committed(lake))
        (record, *_) = await all_told(world, lake)
    data = record["data"]
    assert (data["rowCount"], data["badCount"], data["eventCount"]) == (0, 1, 1)
    assert (lake.root / data["deadLetter"]).exists()
    assert data["firstEnqueueTime"] is None


@pytest.mark.long
async def test_records_of_a_partition_are_in_its_chains_order(world, lake, files_hub):
    """A reader of a partition's records in order reads all of its events in order."""
    async with telling(world, roll_max_rows=10), sending(world) as send_now:
        for first in range(0, 100, 20):
            for partition in range(4):
                events = [json_event(partition, number + 1) for number in range(first, first + 20)]
                await send_now(events, str(partition))
        await until(lambda: len(lake.keys()) == 400)
        records = await all_told(world, lake)
    for partition in range(4):
        seen = {
            record["id"]: record["data"]
            for record in records
            if record["data"]["partitionId"] == str(partition)
        }
        expected = 0
        for data in seen.values():
            assert data["firstSequenceNumber"] == expected
            expected = data["lastSequenceNumber"] + 1
        assert expected == 100


async def land(world, lake, *numbers):
    """Send these readings, a file each."""
    for number in numbers:
        await send(world, [json_event(1, number)])
        await until(lambda count=number: len(committed(lake)) == count)


@pytest.mark.long
async def test_a_chain_is_told_once_from_its_root(world, lake, files_hub):
    """A hub that is named later gets earlier files too; a restart publishes only what is missing."""
    async with ingesting(world):
        await land(world, lake, 1, 2)
    async with telling(world):
        await all_told(world, lake)
    async with ingesting(world):
        await land(world, lake, 3)
    async with telling(world):
        await land(world, lake, 4)
        records = await all_told(world, lake)
    assert paths(records) == committed(lake)


@pytest.mark.long
async def test_retention_of_the_manifests_hub_does_not_begin_anew(world, lake, files_hub):
    """If the hub no longer has any record, a mark in the lake shows how far it was published."""
    async with telling(world):
        await send(world, [json_event(1, 1)])
        await until(lambda: committed(lake))
        await all_told(world, lake)
    for log in world.hub.namespace.hubs.find(HUB).logs:
        log.expire(world.hub.namespace.now_ms() + 3_600_000, 1, None)
    async with telling(world):
        await send(world, [json_event(1, 2)])
        await until(lambda: len(committed(lake)) == 2)
        records = await all_told(world, lake, lambda lake: committed(lake)[1:])
    assert paths(records) == committed(lake)[1:]


@pytest.mark.long
async def test_a_hub_that_refuses_delays_no_commit(world, lake, files_hub):
    """While the manifest's hub accepts nothing, files are still committed; later all are published."""
    world.hub.faults.inject(Fault("reject", hub=HUB))
    async with telling(world):
        await land(world, lake, 1, 2)
        assert await told(world) == []
        world.hub.faults.clear()
        records = await all_told(world, lake)
    assert list(dict.fromkeys(paths(records))) == committed(lake)


@pytest.mark.long
async def test_a_lost_answer_loses_no_record(world, lake, files_hub):
    """If the hub's answer is lost, its record is there already: published at least once, in order."""
    world.hub.faults.inject(Fault("lose_answer", hub=HUB, times=2))
    async with telling(world):
        await land(world, lake, 1, 2)
        records = await all_told(world, lake)
    assert list(dict.fromkeys(paths(records))) == committed(lake)


@pytest.mark.long
async def test_two_writers_tell_committed_files_alone(world, lake, files_hub):
    """Two that share nothing land the same events: every file is published, and no file that lost."""
    async with telling(world), telling(world, consumer_group="scorer"):
        for number in range(1, 6):
            await send(world, [json_event(1, number)])
            await until(lambda count=number: len(lake.keys()) == count)
        records = await all_told(world, lake)
    assert set(paths(records)) == set(committed(lake))


async def test_a_hub_that_is_not_there_is_refused(world):
    """A misspelt name ends ingest at its start, naming the setting."""
    settings = world.settings(IngestSettings, streams="telemetry", manifest_hub="flies")
    with pytest.raises(SettingsError, match="MANIFEST_HUB: there is no hub flies"):
        await serve(settings, asyncio.Event())


async def test_a_streams_own_hub_is_refused(world):
    """Records among the readings would be dead letters."""
    settings = world.settings(IngestSettings, manifest_hub="telemetry")
    with pytest.raises(SettingsError, match="name another"):
        await serve(settings, asyncio.Event())


@pytest.mark.long
@pytest.mark.parametrize("failpoint", ["ingest_renamed", "manifest_read", "manifest_sent"])
async def test_kills_lose_no_record(world, lake, files_hub, failpoint):
    """Killed between a commit and its record, before the send and after it, ingest publishes every file."""
    await send(world, [json_event(1, 1)])
    victim = Victim(world, INTACT, failpoint, {"FLEETPRICE_INGEST_MANIFEST_HUB": HUB}, every=1, times=1)
    assert await victim.life() == -signal.SIGKILL
    (first,) = committed(lake)
    was_told = [first] if failpoint == "manifest_sent" else []
    assert paths(await told(world)) == was_told
    async with telling(world):
        await send(world, [json_event(1, 2)])
        await until(lambda: len(committed(lake)) == 2)
        records = await all_told(world, lake)
    assert paths(records) == committed(lake)
