"""kill -9 at the two moments that matter, under load, three times each: nothing missing, nothing doubled."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.support.ingesting import json_event, process_environment, sending, until
from tests.support.processes import run_python

INTACT = ("-m", "services.ingest")
CHECKPOINT_FIRST = (str(Path(__file__).with_name("checkpoint_first.py")),)
KILLS, PARTITIONS, BATCHES, BATCH = 3, 2, 25, 40


class Victim:
    """An ingest process that is started again whenever it dies."""

    def __init__(self, world, command, failpoint, settings=MappingProxyType({}), every=2, times=KILLS):
        self.deaths = 0
        self._command = command
        victim = {
            "FLEETPRICE_OWNERSHIP_EXPIRY_S": "1.5",
            "FLEETPRICE_INGEST_ROLL_MAX_AGE_S": "0.2",
            "FLEETPRICE_INGEST_ROLL_MAX_ROWS": "100",
            "FLEETPRICE_LOG_LEVEL": "warning",
            "FLEETPRICE_FAILPOINTS": f"{failpoint}={every}*{times}",
            **settings,
        }
        self._environment = process_environment(world, **victim)

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self):
        while True:
            await self.life()
            self.deaths += 1

    async def life(self):
        """Run it until it dies; its exit code."""
        return await run_python(self._command, self._environment)


async def land_under_fire(world, lake, command, failpoint, is_done):
    """Send to several partitions while ingest is killed again and again; returns once `is_done`."""
    victim = Victim(world, command, failpoint)
    async with victim.running():
        async with sending(world) as send:
            for number in range(BATCHES):
                for partition in range(PARTITIONS):
                    first = number * BATCH + 1
                    batch = [json_event(partition, n) for n in range(first, first + BATCH)]
                    await send(batch, str(partition))
        await until(lambda: victim.deaths >= KILLS and is_done())
    return victim


@pytest.mark.parametrize("failpoint", ["ingest_staged", "ingest_renamed"])
async def test_kills_cost_nothing(world, lake, failpoint):
    """Killed before and after the rename, ingest lands every reading once."""
    total = PARTITIONS * BATCHES * BATCH

    victim = await land_under_fire(world, lake, INTACT, failpoint, lambda: len(lake.keys()) == total)

    assert victim.deaths == KILLS
    assert len(lake.keys()) == total
    assert set(lake.keys().values()) == {1}


async def test_checkpoint_first_loses(world, lake):
    """Were the checkpoint written before the file, and read at the start, these kills would lose readings."""

    def has_landed_the_last():
        landed = lake.keys()
        return all((f"v{partition}", BATCHES * BATCH) in landed for partition in range(PARTITIONS))

    await land_under_fire(world, lake, CHECKPOINT_FIRST, "ingest_staged", has_landed_the_last)

    assert len(lake.keys()) < PARTITIONS * BATCHES * BATCH
