"""kill -9 between two output events, under load, until the armed kills are spent."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest

KILLS = 3
READINGS = 1_000


@asynccontextmanager
async def supervised(settings, log_path, **variables):
    """`python -m services.scorer`, started anew whenever it dies, until the end of the block."""
    environment = {
        **os.environ,
        "FLEETPRICE_EVENT_HUBS": settings.event_hubs.get_secret_value(),
        "FLEETPRICE_STORAGE": settings.storage.get_secret_value(),
        "FLEETPRICE_BALANCING_INTERVAL_S": "0.5",
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": "2",
        "FLEETPRICE_SCORER_HTTP": "false",
        "FLEETPRICE_FAILPOINTS_LOG": str(log_path),
        **variables,
    }
    exits = []

    async def live_for_ever():
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.scorer", env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                exits.append(await process.wait())
            finally:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()

    task = asyncio.create_task(live_for_ever())
    try:
        yield exits
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("form", ["singles", "arrow"])
async def test_kills_between_output_events(settings, fleet, published, tmp_path, form):
    """Killed three times under load, the scorer leaves no reading without a price and none with two."""
    kills = {"FLEETPRICE_FAILPOINTS": f"scorer_sent=4*{KILLS}", "FLEETPRICE_SCORER_MAX_ROWS": "50"}
    async with supervised(settings, tmp_path / "kills", **kills) as exits:
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
