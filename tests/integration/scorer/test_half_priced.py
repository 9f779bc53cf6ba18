"""A scorer that died in the middle of an event, while the model's pointer changed."""

import signal

import pytest
from azure.eventhub import EventData

from services.scorer.stream.lineage import Lineage, Place
from shared.lake.client import LakeConnection, open_lake
from shared.streams.event_hubs.clients import producer_client, read_created_at
from shared.streams.event_hubs.connection import HubConnection
from tests.support import model_versions
from tests.support.processes import run_python
from tests.support.scoring import stream_environment

READINGS, MAX_ROWS = 90, 20


async def killed(world):
    """Run a scorer until its second output event is accepted; then it is killed by kill -9."""
    armed = {"FLEETPRICE_SCORER_MAX_ROWS": str(MAX_ROWS), "FLEETPRICE_FAILPOINTS": "scorer_sent=2*1"}
    return await run_python(("-m", "services.scorer"), stream_environment(world, **armed))


@pytest.mark.parametrize("form", ["ndjson", "arrow"])
async def test_an_event_is_finished_by_the_version_that_began_it(
    world, scorer, fleet, published, settings, form
):
    """Killed in the middle of an event, and another champion at the next start: it is of one version."""
    async with open_lake(LakeConnection.from_settings(settings)) as lake:
        for name in ("1", "2"):
            await model_versions.store(lake, name, model_versions.made(name))
        await model_versions.point(lake, "1")
        await fleet.send([getattr(fleet, form)(READINGS), getattr(fleet, form)(READINGS)])
        assert await killed(world) == -signal.SIGKILL
        await model_versions.point(lake, "2")
    async with scorer(max_rows=MAX_ROWS):
        predictions = await published.of("v1", 2 * READINGS)
    assert [one.reading_no for one in predictions] == list(range(1, 2 * READINGS + 1))
    assert [one.version for one in predictions] == ["1"] * READINGS + ["2"] * READINGS
    assert predictions[READINGS].price == pytest.approx(
        predictions[READINGS - 1].price * model_versions.factor_of("2"), rel=1e-4
    )
    assert published.reader.doubles == 0
    outputs = await published.events()
    assert [one.properties[b"model_version"] for one in outputs][:2] == [b"1"] * 2


async def test_an_event_whose_version_is_gone_is_finished_by_the_one_in_service(
    scorer, fleet, published, settings
):
    """A version that cannot be loaded any more leaves no reading without a price."""
    await fleet.send([fleet.arrow(100)], "1")
    async with producer_client(HubConnection.from_settings(settings), "telemetry") as client:
        created_at = await read_created_at(client)
    half = EventData("what a scorer sent before it was killed")
    half.properties = Lineage(created_at, 1, Place(0, 0), Place(0, 39), "gone").properties()
    await fleet.send([half], "1", hub="predictions")
    async with scorer():
        predictions = await published.of("v1", 60)
    assert [one.reading_no for one in predictions] == list(range(41, 101))
    assert {one.version for one in predictions} == {"1"}
