"""kill -9 between two output events, under load, until the armed kills are spent."""

import signal

import pytest

from tests.support.scoring import supervised

KILLS = 3
READINGS = 1_000


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
