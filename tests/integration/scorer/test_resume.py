"""The scorer's resumption after its end, or after failures of the hub."""

import asyncio
import shutil

import pytest
from azure.eventhub import EventData
from pydantic import SecretStr

from services.emulator.event_hubs.faults import Fault
from services.scorer.stream.lineage import Lineage, Place
from shared.service.errors import HubRecreated, SettingsError
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import producer_client, read_created_at
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection
from tests.support.embedded_stack import PATIENCE_S


def numbers(predictions):
    return [one.reading_no for one in predictions]


async def test_a_restart_goes_on_from_its_own_output(scorer, fleet, published, world):
    """With the checkpoint blobs gone, a new scorer resumes right after the last prediction in the hub."""
    async with scorer(checkpoint_interval_s=0.1):
        await fleet.send([fleet.ndjson(100), fleet.ndjson(100)])
        await published.of("v1", 200)
    checkpoints = world.data_dir / "storage" / "devstoreaccount1" / "checkpoints"
    sequences = {}
    async with checkpoint_store(CheckpointConnection.from_settings(fleet.settings)) as store:
        (namespace,) = [one.name for one in checkpoints.iterdir()]
        for one in await store.list_checkpoints(namespace, "telemetry", "scorer"):
            sequences[one["partition_id"]] = one["sequence_number"]
    assert sequences == {"0": 1, "1": -1, "2": -1, "3": -1}, "one a partition from the start, and following"
    shutil.rmtree(checkpoints / namespace)
    async with scorer():
        await fleet.send([fleet.ndjson(100)])
        predictions = await published.of("v1", 300)
    assert numbers(predictions) == list(range(1, 301))
    assert published.reader.doubles == 0


async def test_a_restart_goes_on_within_an_event(scorer, fleet, published, settings):
    """If the output ends in the middle of a source event, only its remaining readings are priced."""
    await fleet.send([fleet.arrow(100)], "1")
    async with producer_client(HubConnection.from_settings(settings), "telemetry") as client:
        created_at = await read_created_at(client)
    half = EventData("what a scorer sent before it was killed")
    half.properties = Lineage(created_at, 1, Place(0, 0), Place(0, 39)).properties()
    await fleet.send([half], "1", hub="predictions")
    async with scorer():
        predictions = await published.of("v1", 60)
    assert numbers(predictions) == list(range(41, 101))
    _, made = await published.events("1")
    assert made.properties[b"first_line"] == 40


@pytest.mark.parametrize("kind", ["lose_answer", "reject"])
async def test_a_failed_send_among_several_doubles_nothing(scorer, fleet, published, world, kind):
    """After sends that are refused or unanswered the hub is read, and only missing events are sent again."""
    async with scorer(max_rows=10):
        await fleet.send([fleet.ndjson(20)])
        await published.of("v1", 20)
        failing = Fault(kind, hub="predictions", partition="0", after=1, times=2)
        armed = world.hub.faults.inject(failing)
        await fleet.send([fleet.ndjson(50), fleet.ndjson(50)])
        predictions = await published.of("v1", 120)
    assert armed.struck == 2
    assert numbers(predictions) == list(range(1, 121))
    assert published.reader.doubles == 0


@pytest.mark.parametrize("low_latency", [False, True])
async def test_a_detach_of_every_link_loses_nothing(scorer, fleet, published, world, low_latency):
    """Links that are detached under load, readers' and senders', cost neither a reading nor a double."""
    async with scorer(low_latency=low_latency):
        await fleet.send(fleet.singles(2_000))
        await published.of("v1", 500)
        world.hub.faults.inject(Fault("detach"))
        await fleet.send(fleet.singles(2_000))
        predictions = await published.of("v1", 4_000)
    assert numbers(predictions) == list(range(1, 4_001))
    assert published.reader.doubles == 0


async def test_two_scorers_share_the_partitions(scorer, fleet, published):
    """A second scorer takes over half of the partitions; the reader sees every prediction once, in order."""
    async with scorer():
        await fleet.send(fleet.singles(500), "0")
        await published.of("v1", 500)
        async with scorer():
            for partition in "0123":
                await fleet.send(fleet.singles(500, vehicle=f"w{partition}"), partition)
            for partition in "0123":
                predictions = await published.of(f"w{partition}", 500)
                assert numbers(predictions) == list(range(1, 501))


async def test_sigterm_finishes_the_send_in_flight(scorer, fleet, published):
    """Stopped under load, the scorer finishes the send in flight; the next one resumes without a double."""
    async with scorer():
        await fleet.send(fleet.singles(3_000))
        await published.of("v1", 1)
    async with scorer():
        predictions = await published.of("v1", 3_000)
    assert numbers(predictions) == list(range(1, 3_001))
    assert published.reader.doubles == 0


async def test_a_recreated_hub_is_refused(scorer, fleet, published, world):
    """Predictions of a telemetry hub that was deleted and re-created stop the scorer with the remedy."""
    async with scorer():
        await fleet.send(fleet.singles(5))
        await published.of("v1", 5)
    world.hub.delete_hub("telemetry")
    world.hub.create_hub("telemetry")
    with pytest.raises(HubRecreated, match="FLEETPRICE_PREDICTIONS_HUB"):
        async with scorer() as task:
            await asyncio.wait([task], timeout=PATIENCE_S)


async def test_a_missing_hub_and_a_wrong_key_are_said_in_one_line(scorer, settings):
    """A hub that is not there and a key that is refused are the person's to change, and named."""
    wrong_key = settings.event_hubs.get_secret_value().replace("SAS_KEY_VALUE", "d3Jvbmc=")
    for values, name in (
        ({"telemetry_hub": "nowhere"}, "FLEETPRICE_TELEMETRY_HUB"),
        ({"event_hubs": SecretStr(wrong_key)}, "FLEETPRICE_EVENT_HUBS"),
    ):
        with pytest.raises(SettingsError, match=name) as refusal:
            async with scorer(**values) as task:
                await asyncio.wait([task], timeout=PATIENCE_S)
        assert "\n" not in str(refusal.value)


async def test_partition_counts_must_match(scorer, world):
    """A predictions hub with another number of partitions is refused, with the setting to change."""
    world.hub.create_hub("few", partition_count=2)
    with pytest.raises(SettingsError, match="FLEETPRICE_PREDICTIONS_HUB"):
        async with scorer(predictions_hub="few") as task:
            await asyncio.wait([task], timeout=PATIENCE_S)
