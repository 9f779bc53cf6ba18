"""Failures around ingest and its behaviour: rows of the table in docs/ingest.md."""

import asyncio

import pytest

from services.emulator.storage.auth.well_known import WELL_KNOWN_KEY
from shared.service.errors import SettingsError
from shared.service.tasks import cancel_until_done
from tests.support.ingesting import (
    assert_once,
    ingesting,
    json_event,
    readings,
    send,
    sending,
    until,
)

NEVER_S = 3_600.0


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
            await running.ended()


async def test_another_process_takes_over_at_once(world, lake):
    """A drain gives the partitions back: who comes next does not wait for ownership to expire."""
    async with ingesting(world, ownership_expiry_s=NEVER_S):
        await send(world, readings(1, 51))
        await until(lambda: len(lake.keys()) == 50)
    await send(world, readings(51, 101))
    async with ingesting(world, ownership_expiry_s=NEVER_S):
        await until(lambda: len(lake.keys()) == 100)

    assert_once(lake, 100)
