"""Time made to pass over HTTP: the clock that stamps, and retention on request."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.event_hubs.server import EventHubsServer
from tests.support.embedded_stack import PATIENCE_S

HOUR_S = 3_600
SLACK = timedelta(minutes=10)


@pytest.fixture
async def server(tmp_path):
    """Its segments are small."""
    async with EventHubsServer(tmp_path, segment_bytes=4_096) as server:
        yield server


async def send_and_get_time(client, partition_id="0"):
    """Return the enqueued time of an event that is sent now."""
    await client.send(b"x", partition_id=partition_id)
    last = {"partition_id": partition_id, "starting_position": "-1"}
    async with client.consumer() as consumer:
        count = (await consumer.get_partition_properties(partition_id))["last_enqueued_sequence_number"] + 1
    return (await client.receive(count, **last))[-1][1].enqueued_time


async def test_a_clock_set_ahead_stamps_later_hours(call, client):
    """An hour passes at once, and what is sent then was enqueued in the next hour."""
    ahead = {"event_hubs_offset_s": HOUR_S, "storage_offset_s": 0}
    assert await call("PUT", "/clock", ahead) == (200, ahead)
    assert await call("GET", "/clock") == (200, ahead)
    stamped = await send_and_get_time(client)
    assert abs(stamped - datetime.now(UTC) - timedelta(hours=1)) < SLACK


async def test_a_clock_set_back_holds_a_partitions_times_still(call, client):
    """Enqueued times never go down along a partition, as in the service; another partition's may be lower."""
    await call("PUT", "/clock", {"event_hubs_offset_s": HOUR_S})
    ahead = await send_and_get_time(client)
    await call("PUT", "/clock", {"event_hubs_offset_s": -HOUR_S})
    assert await send_and_get_time(client) == ahead
    assert abs(await send_and_get_time(client, "1") - datetime.now(UTC) + timedelta(hours=1)) < SLACK


async def test_storage_has_a_clock_of_its_own(call, client, storage):
    """Files written while storage's clock is ahead have its time; signatures and the hub are unaffected."""
    await call("PUT", "/clock", {"storage_offset_s": HOUR_S})
    async with DataLakeServiceClient.from_connection_string(storage.connection_string) as service:
        file = service.get_file_client("lake", "raw/a")
        await file.create_file()
        modified = (await file.get_file_properties()).last_modified
    assert abs(modified - datetime.now(UTC) - timedelta(hours=1)) < SLACK
    assert abs(await send_and_get_time(client) - datetime.now(UTC)) < SLACK


async def test_retention_deletes_what_is_requested(call, client):
    """Whole segments below the number go, the answer counts their events, and readers begin behind them."""
    await client.send(b"x" * 500, times=40, partition_id="0")
    taken = 0
    async with asyncio.timeout(PATIENCE_S):
        while not taken:  # a segment that is being sealed goes the next time, as with retention
            status, answer = await call("POST", "/hubs/telemetry/trim", {"before": {"0": 30}})
            assert status == 200
            taken = answer["events"]
    assert taken <= 30
    [(_, oldest), *_] = await client.receive(1, partition_id="0", starting_position="-1")
    assert oldest.sequence_number == taken
    assert await call("POST", "/hubs/telemetry/trim", {"before": {"0": taken}}) == (200, {"events": 0})


async def test_time_for_which_a_hub_is_not_served_ages_nothing(tmp_path, client):
    """Events accepted days ago are there after a start, and after a clock that jumps by years."""
    folder = tmp_path / "aged"
    async with EventHubsServer(folder, segment_bytes=4_096) as server:
        server.namespace.clock.offset_s = -72 * HOUR_S
        await replace(client, connection_string=server.connection_string).send(b"x" * 500, times=40)
        begun = [log.state() for log in server.namespace.hubs.find("telemetry").logs]
    for offset_s in (0, 100_000 * HOUR_S):
        async with EventHubsServer(folder, segment_bytes=4_096) as server:
            server.namespace.expire()
            server.namespace.clock.offset_s = offset_s
            server.namespace.expire()
            assert [log.state() for log in server.namespace.hubs.find("telemetry").logs] == begun


async def test_retention_leaves_what_is_being_written(call, client):
    """However high the number, the segment in use stays: the newest event can always be read."""
    await client.send(b"x" * 500, times=20, partition_id="0")
    await call("POST", "/hubs/telemetry/trim", {"before": {"0": 1_000}})
    received = await client.receive(1, partition_id="0", starting_position="-1")
    assert received[0][1].sequence_number <= 19


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PUT", "/clock", {"offset_s": 1}, "offset_s"),
        ("POST", "/hubs/telemetry/trim", {"before": {"9": 1}}, "telemetry has no partition 9"),
        ("POST", "/hubs/telemetry/trim", {"before": {"0": -1}}, "before"),
    ],
)
async def test_what_makes_no_sense_is_refused(call, method, path, body, said):
    """A misspelt field or a partition that is not there is answered with a sentence."""
    status, answer = await call(method, path, body)
    assert status == 400
    assert said in answer["error"]


async def test_retention_of_no_hub_is_refused(call):
    """A hub that does not exist is named."""
    status, answer = await call("POST", "/hubs/nowhere/trim", {"before": {}})
    assert (status, answer) == (404, {"error": "there is no hub nowhere"})
