"""Where the scorer goes on after it ended, or after the hub failed it."""

import asyncio
import time

import pytest
from azure.eventhub import EventData

from services.emulator.event_hubs.faults import Fault
from services.scorer.stream.lineage import Lineage, Place
from shared.errors import HubRecreated, SettingsError
from shared.hubs.clients import hub_created_at, producer_client


async def test_a_restart_goes_on_from_its_own_output(scorer, fleet, published, world):
    """With the checkpoint blobs gone, a new scorer goes on right after the last prediction in the hub."""
    async with scorer():
        await fleet.send([fleet.ndjson(100), fleet.ndjson(100)])
        await published.first(200)
    for blob in (world.data_dir / "storage" / "devstoreaccount1" / "checkpoints").rglob("*"):
        if blob.is_file():
            blob.unlink()
    async with scorer():
        await fleet.send([fleet.ndjson(100)])
        await published.first(300)
    predictions, reader = await published.all()
    assert [one.reading_no for one in predictions] == list(range(1, 301))
    assert reader.doubles == 0


async def test_a_restart_goes_on_within_an_event(scorer, fleet, published, settings):
    """Where the output ends in the middle of a source event, its remaining lines alone are priced."""
    async with scorer(max_rows=40):
        await fleet.send([fleet.ndjson(100)])
        await published.first(100)
    first_output = (await published.events(through=0))[0]
    async with producer_client(settings, "telemetry") as client:
        created_at = await hub_created_at(client)
    # A second pair of partitions, one with a source event and an output that ends at its line 40.
    await fleet.send([fleet.arrow(100, vehicle="v2")], "1")
    half = EventData(first_output.body_as_str())
    half.properties = Lineage(created_at, 1, Place(0, 0), Place(0, 39)).properties()
    await fleet.send([half], "1", hub="predictions")
    async with scorer():
        await published.first(160)
        events = await published.events("1", through=1)
    assert events[1].properties[b"first_line"] == 40
    predictions, _ = await published.all()
    assert [one.reading_no for one in predictions if one.vehicle_id == "v2"] == list(range(41, 101))


async def test_a_lost_answer_doubles_nothing(scorer, fleet, published, world):
    """A send whose answer is lost is looked for in the hub and not sent again."""
    for partition in ("0", "1"):
        world.hub.namespace.faults.inject(
            Fault(kind="lose_answer", hub="predictions", partition=partition, times=2)
        )
    async with scorer(max_rows=20):
        await fleet.send([fleet.ndjson(50)], "0")
        await fleet.send([fleet.ndjson(50, vehicle="v2")], "1")
        await published.first(100)
    predictions, reader = await published.all()
    assert len(predictions) == 100
    assert reader.doubles == 0


async def test_a_detach_of_every_link_loses_nothing(scorer, fleet, published, world):
    """Links that are detached under load, readers' and senders', cost neither a reading nor a double."""
    async with scorer():
        await fleet.send(fleet.singles(2_000))
        await published.first(500)
        world.hub.namespace.faults.inject(Fault(kind="detach", role=None))
        await fleet.send(fleet.singles(2_000))
        await published.first(4_000)
    predictions, reader = await published.all()
    assert [one.reading_no for one in predictions] == list(range(1, 4_001))
    assert reader.doubles == 0


async def test_two_scorers_share_the_partitions(scorer, fleet, published):
    """A second scorer takes over half of the partitions; the reader sees every prediction once, in order."""
    async with scorer():
        await fleet.send(fleet.singles(500), "0")
        await published.first(500)
        async with scorer():
            for partition in "0123":
                await fleet.send(fleet.singles(1_000, vehicle=f"w{partition}"), partition)
            await published.first(4_500)
    predictions, _ = await published.all()
    assert len(predictions) == 4_500
    for partition in "0123":
        numbers = [one.reading_no for one in predictions if one.vehicle_id == f"w{partition}"]
        assert numbers == list(range(1, 1_001))


async def test_sigterm_ends_quickly(scorer, fleet, published):
    """Told to stop under load, the scorer finishes what is in flight and is gone within a second and a half."""
    async with scorer() as task:
        await fleet.send(fleet.singles(3_000))
        await published.first(1)
        started_s = time.monotonic()
    assert task.done()
    assert time.monotonic() - started_s < 1.5
    async with scorer():
        await published.first(3_000)
    predictions, reader = await published.all()
    assert len(predictions) == 3_000
    assert reader.doubles == 0


async def test_a_recreated_hub_is_refused(scorer, fleet, published, world):
    """Predictions of a telemetry hub that was deleted and made anew stop the scorer with the remedy."""
    async with scorer():
        await fleet.send(fleet.singles(5))
        await published.first(5)
    world.hub.delete_hub("telemetry")
    await asyncio.sleep(0.01)  # the identity is a time in milliseconds
    world.hub.create_hub("telemetry")
    with pytest.raises(HubRecreated, match="FLEETPRICE_PREDICTIONS_HUB"):
        async with scorer() as task:
            await asyncio.wait([task], timeout=30)


async def test_partition_counts_must_match(scorer, world):
    """A predictions hub with another number of partitions is refused at the start, with the setting to change."""
    world.hub.create_hub("few", partition_count=2)
    with pytest.raises(SettingsError, match="FLEETPRICE_PREDICTIONS_HUB"):
        async with scorer(predictions_hub="few") as task:
            await asyncio.wait([task], timeout=30)


async def test_checkpoints_follow_from_the_start(scorer, fleet, published, world, settings):
    """Every owned partition has a checkpoint blob at once, and its number follows the output."""
    from shared.hubs.resume import checkpoint_store

    async with scorer(checkpoint_interval_s=0.1):
        await fleet.send(fleet.singles(10), "1")
        await published.first(10)
    async with checkpoint_store(settings) as store:
        found = await store.list_checkpoints("127.0.0.1", "telemetry", "scorer")
    assert {one["partition_id"]: one["sequence_number"] for one in found} == {
        "0": -1,
        "1": 9,
        "2": -1,
        "3": -1,
    }
