"""Failures of the hub and ingest's behaviour: rows of the table in docs/ingest.md."""

import json
from contextlib import AsyncExitStack

import pytest

from services.emulator.event_hubs.hub_description import HubKey
from services.emulator.event_hubs.server import EventHubsServer
from shared.service.errors import HubRecreated, SettingsError
from tests.support.embedded_stack import World
from tests.support.ingesting import assert_once, checkpoints, ingesting, readings, send, until

NEVER_S = 3_600.0


async def test_a_hub_recreated_between_two_looks_lands_nothing_of_the_new(world, lake):
    """The link reconnects to the new hub silently: its events never land in the old chain."""
    with pytest.raises(HubRecreated, match="re-created"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, look_interval_s=NEVER_S) as running:
            await send(world, readings(1, 101))
            await until(lambda: len(lake.keys()) == 100)
            world.hub.delete_hub("telemetry")
            world.hub.create_hub("telemetry")
            await send(world, readings(1_001, 1_301))
            await running.ended()

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


async def test_a_rotated_hub_key_ends_ingest(world, lake):
    """A key of the hub that was replaced while ingest ran: exit code 2, and the setting to change."""
    world.hub.create_hub("telemetry", keys=[HubKey("ingest", "first")])
    of_hub = world.hub.hub_connection_string("telemetry", "ingest")
    with pytest.raises(SettingsError, match="FLEETPRICE_EVENT_HUBS"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, event_hubs=of_hub, refusal_grace_s=0, look_interval_s=0.2) as running:
            await send(world, readings(1, 51))
            await until(lambda: len(lake.keys()) == 50)
            world.hub.create_hub("telemetry", keys=[HubKey("ingest", "second")])
            await running.ended()

    assert_once(lake, 50)
