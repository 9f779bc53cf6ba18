"""kill -9 between two output events, under load, until the armed kills are spent."""

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest

from tests.support.processes import run_python
from tests.support.scoring import stream_environment

KILLS = 3
READINGS = 1_000


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


@pytest.mark.parametrize("form", ["singles", "arrow"])
async def test_kills_between_output_events(world, fleet, published, form):
    """Killed three times under load, the scorer leaves no reading without a price and none with two."""
    kills = {"FLEETPRICE_FAILPOINTS": f"scorer_sent=4*{KILLS}", "FLEETPRICE_SCORER_MAX_ROWS": "50"}
    async with supervised(world, **kills) as exits:
        for partition in "01":
            readings = {"count": READINGS, "vehicle": f"v{partition}"}
            events = fleet.singles(**readings) if form == "singles" else [fleet.arrow(**readings)]
            await fleet.send(events, partition)
        for partition in "01":
            predictions = await published.of(f"v{partition}", READINGS)
            assert [one.reading_no for one in predictions] == list(range(1, READINGS + 1))
    assert exits.count(-signal.SIGKILL) == KILLS
    assert published.reader.predictions - published.reader.doubles == 2 * READINGS
    assert published.reader.doubles == 0, "on this hub, where nothing lands late, there are no raw doubles"
