"""Our lag and the autoscaler's, on checkpoints that ingest and the scorer wrote."""

import asyncio
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY

from services.cli.up.sustained_lag import PartitionEnd, SustainedLag
from services.emulator.event_hubs.faults import Fault
from services.scorer.settings import ScorerSettings
from tests.integration.deploy.keda import End, ends, lags, recorded, reported, unprocessed
from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import Lake, ingesting, next_sequence, readings, sending, until
from tests.support.scoring import running

PARTITIONS = ("0", "1", "2", "3")


@contextmanager
def held_back(world, group):
    """Make the hub accept events and requests, but deliver none to the group."""
    with world.hub.faults.inject(
        Fault("delay", at="delivery", group=group, delay_ms=600_000, times="always")
    ):
        yield


def gauge():
    """Return ingest's own lag metric by partition."""
    found = {
        partition: REGISTRY.get_sample_value(
            "fleetprice_ingest_lag_events", {"hub": "telemetry", "partition": partition}
        )
        for partition in PARTITIONS
    }
    return {partition: int(value) for partition, value in found.items() if value is not None}


def shown(reader, hub_ends, taken):
    """Return the lag that `fleetprice up` shows by partition; `taken` are the reader's positions."""
    lag = SustainedLag({"telemetry": [reader]})
    for partition, end in hub_ends.items():
        lag.note_end("telemetry", partition, PartitionEnd(end.begin, end.last))
        if partition in taken:
            lag.note_position(reader, "telemetry", partition, taken[partition])
    return {partition: events for (_, partition), events in lag.current().items()}


async def scorers(world):
    found = {partition: next_sequence(partition) for partition in PARTITIONS}
    taken = {partition: int(value) for partition, value in found.items() if value is not None}
    return shown("scorer", await ends(world, "telemetry"), taken)


async def ingests(_world):
    return gauge()


async def until_both_say(world, group, ours, waiting):
    """Wait until our lag and KEDA's are both `waiting`, which is 0 for partitions that it does not name."""
    lag = dict.fromkeys(PARTITIONS, 0) | waiting
    said = ()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while said != (lag, lag):
                said = (await ours(world), await lags(world, "telemetry", group))
    except TimeoutError:
        pytest.fail(f"ours and the autoscaler's are {said}, never {lag}")


async def trimmed(world, partition, begin):
    """Remove the partition's events below `begin`, as retention does."""
    log = world.hub.namespace.hubs.find("telemetry").logs[int(partition)]
    log.roll()
    await until(lambda: log.expire(2**62, 0, None) or log.state().begin_sequence_number == begin)


async def until_recorded(world, group):
    """Wait until every partition has its checkpoint."""
    async with asyncio.timeout(PATIENCE_S):
        while set(await recorded(world, "telemetry", group)) != set(PARTITIONS):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_ingests_lag_is_the_autoscalers(world):
    """Waiting events count the same for our metric and for KEDA, in empty partitions too."""
    lake = Lake(world.data_dir)
    async with sending(world) as send, ingesting(world, look_interval_s=0.2):
        await send(readings(1, 101), "2")
        await until(lambda: len(lake.keys()) == 100)
        with held_back(world, "ingest"):
            await send(readings(101, 131), "2")
            await send(readings(131, 138), "3")
            await until_both_say(world, "ingest", ingests, {"2": 30, "3": 7})


async def test_what_is_held_and_has_not_landed_is_lag_to_the_autoscaler_alone(world):
    """The one difference: KEDA counts from the last event landed, our metric from the last one read."""
    async with sending(world) as send:
        await send(readings(1, 41), "0")
        async with ingesting(world, roll_max_age_s=3_600.0, look_interval_s=0.2):
            await until(lambda: next_sequence("0") == 40 and gauge().get("0") == 0)
            await until_recorded(world, "ingest")
            assert (await lags(world, "telemetry", "ingest"))["0"] == 40
    assert (await lags(world, "telemetry", "ingest"))["0"] == 0


async def test_what_nobody_read_yet_is_lag_without_what_retention_took(world):
    """Before the first pod both count all events; with it, so they do by a checkpoint before the first."""
    async with sending(world) as send:
        await send(readings(1, 41), "1")
        await send(readings(1, 51), "0")
        await trimmed(world, "0", 50)
        await send(readings(51, 81), "0")
        unread = {"0": 30, "1": 40, "2": 0, "3": 0}
        assert await lags(world, "telemetry", "ingest") == unread
        assert shown("ingest", await ends(world, "telemetry"), {}) == unread

        with held_back(world, "ingest"):
            async with ingesting(world, look_interval_s=0.2):
                await until_recorded(world, "ingest")
                first = await recorded(world, "telemetry", "ingest")
                assert (first["0"], first["1"]) == (49, -1)
                await until_both_say(world, "ingest", ingests, unread)


async def test_what_retention_took_from_a_late_reader_is_lag_until_it_is_noted(world):
    """Both count the gap until it is reached, and neither once it is recorded in the lake."""
    lake = Lake(world.data_dir)
    async with sending(world) as send:
        await send(readings(1, 51), "0")
        async with ingesting(world):
            await until(lambda: len(lake.keys()) == 50)
        await send(readings(51, 101), "0")
        await trimmed(world, "0", 100)
        await send(readings(101, 121), "0")
        assert (await lags(world, "telemetry", "ingest"))["0"] == 70

        with held_back(world, "ingest"):
            async with ingesting(world, look_interval_s=0.2):
                await until_both_say(world, "ingest", ingests, {"0": 70})
        async with ingesting(world, look_interval_s=0.2):
            await until(lambda: len(lake.keys()) == 70)
            await until_both_say(world, "ingest", ingests, {})  # a checkpoint follows its file


async def test_the_scorers_lag_is_the_autoscalers(world):
    """The scorer's checkpoints follow its output, so KEDA counts the events that wait for a price."""
    settings = world.settings(ScorerSettings, http=False, checkpoint_interval_s=0.2, balancing_interval_s=0.3)
    async with sending(world) as send, running(settings):
        await send(readings(1, 61), "3")
        await until(lambda: next_sequence("3") == 60)
        await until_recorded(world, "scorer")
        await until_both_say(world, "scorer", scorers, {})
        with held_back(world, "scorer"):
            await send(readings(61, 86), "3")
            await until_both_say(world, "scorer", scorers, {"3": 25})


@pytest.mark.parametrize(
    ("begin", "last", "checkpoint", "lag"),
    [
        (0, -1, None, 0),
        (0, -1, -1, 0),
        (50, -1, 49, 0),
        (0, 0, None, 1),
        (7, 7, None, 0),  # a lone event above 0: its first reader's checkpoint makes it count
        (7, 7, 6, 1),
        (7, 9, None, 3),
        (0, 9, -1, 10),
        (0, 9, 9, 0),
        (0, 9, 12, 0),  # an answer of the hub's that is older than the checkpoint
        (0, 9, 9 + 9_999, 0),
        (0, 9, 9 + 10_000, 2**63 - 1 - 10_000),  # no longer stale: a re-created hub
        (0, 5, 2**63 - 1 - 20_000, 20_005),  # the counter went round
    ],
)
def test_the_autoscalers_rules(begin, last, checkpoint, lag):
    """Empty, never read, all read, stale and gone round: each as KEDA's scaler counts it."""
    assert unprocessed(End(begin, last), checkpoint) == lag


def test_no_lag_asks_for_more_pods_than_partitions():
    """A week's backlog asks for one pod a partition."""
    assert reported(10_000_000, partitions=8, threshold=40_000) == 8 * 40_000
    assert reported(8 * 40_000 + 39_999, partitions=8, threshold=40_000) == 8 * 40_000 + 39_999
    assert reported(0, partitions=8, threshold=40_000) == 0
