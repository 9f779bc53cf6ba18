"""What goes wrong around ingest, and what it does then: the rows of the table in docs/ingest.md."""

import asyncio
import json
from contextlib import AsyncExitStack

import aiohttp
import pytest
from prometheus_client import REGISTRY

from services.emulator.event_hubs.hub_description import HubKey
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.faults import Fault
from services.emulator.storage.well_known import WELL_KNOWN_KEY
from services.ingest import commit
from shared.errors import HubRecreated, NeedsAttention, SettingsError
from shared.lake import open_lake
from shared.processes.free_ports import free_port
from shared.tasks import cancel_until_done
from tests.conftest import PATIENCE_S, World
from tests.integration.ingest.conftest import checkpoints, ingesting, json_event, send, sending, until

NEVER_S = 3_600.0


def readings(start, stop, vehicle=1):
    return [json_event(vehicle, number) for number in range(start, stop)]


def assert_once(lake, count):
    assert len(lake.keys()) == count
    assert set(lake.keys().values()) == {1}


async def readiness(port):
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/readyz") as answer,
    ):
        return answer.status


async def becomes_ready(port):
    """A file stands in the lake a moment before ingest has been told so."""
    async with asyncio.timeout(PATIENCE_S):
        while await readiness(port) != 200:  # noqa: ASYNC110 - a server tells nobody
            await asyncio.sleep(0.05)


def reopened(cause):
    """How often a partition was given up for this cause since the test began."""
    labels = {"hub": "telemetry", "cause": cause}
    now = REGISTRY.get_sample_value("fleetprice_ingest_partitions_reopened_total", labels) or 0.0
    return now - at_the_start.get(cause, 0.0)


at_the_start = {}


@pytest.fixture(autouse=True)
def _count_from_here():
    at_the_start.clear()
    at_the_start.update({cause: reopened(cause) for cause in ("lake", "refused")})


async def ended(running):
    """Ingest has ended by itself."""
    done, _ = await asyncio.wait([running.task], timeout=PATIENCE_S)
    assert done


async def test_one_idle_partition_among_busy_ones_flushes(world, lake):
    """A reading on a quiet partition lands when it is old enough, however busy the others are."""

    async def keep_busy(send_now):
        number = 0
        while True:
            number += 1
            await send_now([json_event(partition, number) for partition in (0, 1)], str(number % 2))

    async with ingesting(world, roll_max_age_s=0.5), sending(world) as send_now:
        busy = asyncio.create_task(keep_busy(send_now))
        try:
            async with sending(world) as send_once:
                await send_once(readings(1, 2, vehicle=9), "3")
            await until(lambda: lake.keys()[("v9", 1)])
        finally:
            await cancel_until_done(busy)  # a cancellation that comes with the hub's answer gets lost


async def test_a_hub_recreated_between_two_looks_lands_nothing_of_the_new(world, lake):
    """The link reconnects to the new hub without a word: what it brings is never put into the old chain."""
    with pytest.raises(HubRecreated, match="re-created"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, look_interval_s=NEVER_S) as running:
            await send(world, readings(1, 101))
            await until(lambda: len(lake.keys()) == 100)
            world.hub.delete_hub("telemetry")
            world.hub.create_hub("telemetry")
            await send(world, readings(1_001, 1_301))
            await ended(running)

    assert_once(lake, 100)


async def test_a_recreated_hub_begins_its_checkpoints_anew(world, lake):
    """Accepted, the new hub's checkpoints start before its first event: an autoscaler sees its lag."""
    await send(world, readings(1, 101))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)
    world.hub.delete_hub("telemetry")
    world.hub.create_hub("telemetry")

    async with ingesting(world, accept_recreated="telemetry"):
        await send(world, readings(101, 111))
        await until(lambda: len(lake.keys()) == 110)

    assert {
        name.rpartition("/")[2]: values["sequencenumber"]
        for name, values in (await checkpoints(world)).items()
    } == {
        "0": "9",
        "1": "-1",
        "2": "-1",
        "3": "-1",
    }


async def test_new_partitions_are_landed_without_a_restart(world, lake, tmp_path):
    """A hub that grew from two partitions to four: the new ones land too, the old ones go on."""
    own = tmp_path / "growing"
    async with EventHubsServer(own) as before:
        before.create_hub("orders", 2)
    small = EventHubsServer(own)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(small)
        grown = World(small, world.storage, own)
        async with ingesting(
            grown, telemetry_hub="orders", look_interval_s=0.2, ownership_expiry_s=60.0
        ) as running:
            await send(grown, readings(1, 11), "orders", "1")
            await until(lambda: len(lake.keys()) == 10)
            await stack.aclose()
            description = own / "event_hubs" / "orders" / "hub.json"
            description.write_text(json.dumps(json.loads(description.read_text()) | {"partition_count": 4}))
            async with EventHubsServer(own, port=small.port):
                await send(grown, readings(11, 21), "orders", "1")
                await send(grown, readings(1, 11, vehicle=2), "orders", "3")
                await until(lambda: len(lake.keys()) == 30)
                running.stop.set()
                await running.task

    assert_once(lake, 30)


async def test_a_full_disk_is_waited_for(world, lake, monkeypatch):
    """While storage takes no files ingest is not ready; once it does it goes on by itself."""
    monkeypatch.setattr(commit, "MAX_ATTEMPTS", 1)
    port = free_port(set())
    full = world.storage.faults.inject(
        Fault("fail", "append", "lake/", status=500, code="InternalError", times="always")
    )
    async with ingesting(world, metrics_port=port):
        await send(world, readings(1, 101))
        await until(lambda: reopened("lake"))
        assert await readiness(port) == 503
        full.disarm()
        await until(lambda: len(lake.keys()) == 100)
        await becomes_ready(port)

    assert_once(lake, 100)


REFUSED = Fault("fail", path_prefix="lake/", status=403, code="AuthenticationFailed", times="always")


async def test_storage_that_refuses_for_a_while_costs_nothing(world, lake):
    """A role that is taken and given back within the grace: ingest is not ready, then goes on by itself."""
    port = free_port(set())
    async with ingesting(world, metrics_port=port, refusal_grace_s=NEVER_S):
        await send(world, readings(1, 51))
        await until(lambda: len(lake.keys()) == 50)
        with world.storage.faults.inject(REFUSED):
            await send(world, readings(51, 101))
            await until(lambda: reopened("refused"))
            assert await readiness(port) == 503
        await until(lambda: len(lake.keys()) == 100)
        await becomes_ready(port)

    assert_once(lake, 100)


async def test_storage_that_goes_on_refusing_ends_ingest(world, lake):
    """A storage key that was rotated for good: exit code 2, and the setting to change."""
    with pytest.raises(SettingsError, match="FLEETPRICE_STORAGE"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, refusal_grace_s=0.5) as running:
            await send(world, readings(1, 51))
            await until(lambda: len(lake.keys()) == 50)
            world.storage.faults.inject(REFUSED)
            await send(world, readings(51, 101))
            await ended(running)

    assert_once(lake, 50)


async def test_a_rotated_hub_key_ends_ingest(world, lake):
    """A key of the hub that was replaced while ingest ran: exit code 2, and the setting to change."""
    world.hub.create_hub("telemetry", keys=[HubKey("ingest", "first")])
    of_hub = world.hub.hub_connection_string("telemetry", "ingest")
    with pytest.raises(SettingsError, match="FLEETPRICE_EVENT_HUBS"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, event_hubs=of_hub, refusal_grace_s=0, look_interval_s=0.2) as running:
            await send(world, readings(1, 51))
            await until(lambda: len(lake.keys()) == 50)
            world.hub.create_hub("telemetry", keys=[HubKey("ingest", "second")])
            await ended(running)

    assert_once(lake, 50)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"telemetry_hub": "nowhere"}, "no hub nowhere"),
        ({"consumer_group": "nobody"}, "no consumer group nobody"),
        ({"file_system": "nowhere"}, "FLEETPRICE_FILE_SYSTEM"),
        ({"checkpoint_container": "nowhere"}, "FLEETPRICE_CHECKPOINT_CONTAINER"),
        ({"storage": "wrong key"}, "FLEETPRICE_STORAGE"),
    ],
)
async def test_what_is_not_there_is_said_at_the_start(world, values, says):
    """A hub, consumer group, file system or container that is missing, a wrong key: exit code 2 at once."""
    world.hub.create_hub("telemetry", consumer_groups=["ingest"])
    if "storage" in values:
        key = WELL_KNOWN_KEY
        values = {"storage": world.storage.connection_string.replace(key, key[::-1].lstrip("=") + "==")}
    await send(world, readings(1, 11))
    with pytest.raises(SettingsError, match=says):
        async with ingesting(world, look_interval_s=1.0, **values) as running:
            await ended(running)


async def test_a_chain_of_a_newer_layout_is_left_alone(world, lake):
    """A raw zone that a later release laid out otherwise: exit code 2, nothing written into it."""
    root = {
        "created_at": "2026-01-01T00:00:00Z",
        "first": 0,
        "folder": "date=2026-01-01/hour=00",
        "layout": 2,
    }
    async with open_lake(world.settings()) as client:
        await client.write("raw/telemetry/_chain/p00.json", json.dumps(root).encode())
    await send(world, readings(1, 11))
    with pytest.raises(NeedsAttention, match="layout 2"):
        async with ingesting(world) as running:
            await ended(running)

    assert not lake.files()


async def test_another_process_takes_over_at_once(world, lake):
    """A drain gives the partitions back: who comes next does not wait for ownership to expire."""
    async with ingesting(world, ownership_expiry_s=NEVER_S):
        await send(world, readings(1, 51))
        await until(lambda: len(lake.keys()) == 50)
    await send(world, readings(51, 101))
    async with ingesting(world, ownership_expiry_s=NEVER_S):
        await until(lambda: len(lake.keys()) == 100)

    assert_once(lake, 100)
