"""Our lag and the autoscaler's, on checkpoints that ingest and the scorer wrote."""

import asyncio
from contextlib import contextmanager

import pytest
from prometheus_client import REGISTRY

from services.emulator.event_hubs.faults import Fault
from services.scorer.settings import ScorerSettings
from services.up.standing_lag import PartitionEnd, StandingLag
from tests.conftest import PATIENCE_S
from tests.integration.deploy.keda import End, ends, lags, recorded, reported, unprocessed
from tests.integration.ingest.conftest import Lake, ingesting, json_event, next_sequence, send, until
from tests.integration.scorer.conftest import running

PARTITIONS = ("0", "1", "2", "3")


def events(start, stop):
    return [json_event(1, number) for number in range(start, stop)]


@contextmanager
def held_back(world, group):
    """The hub takes events in, and answers questions, but gives the group none of them."""
    with world.hub.faults.inject(
        Fault("delay", at="delivery", group=group, delay_ms=600_000, times="always")
    ):
        yield


def gauge():
    """Partition → ingest's own lag metric, of the partitions that it says it for."""
    found = {
        partition: REGISTRY.get_sample_value(
            "fleetprice_ingest_lag_events", {"hub": "telemetry", "partition": partition}
        )
        for partition in PARTITIONS
    }
    return {partition: int(value) for partition, value in found.items() if value is not None}


async def shown(world, reader, taken):
    """Partition → the lag that `fleetprice up` shows of a reader; `taken`: how far it says it has come."""
    lag = StandingLag({"telemetry": [reader]})
    for partition, end in (await ends(world, "telemetry")).items():
        lag.see_end("telemetry", partition, PartitionEnd(end.begin, end.last))
        if partition in taken:
            lag.see_reader(reader, "telemetry", partition, taken[partition])
    return {partition: events for (_, partition), events in lag.now().items()}


async def until_equal(first, second):
    """What two coroutine functions answer, once it is the same; that it never is, is a failure with both."""
    ours, theirs = {}, {}
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (ours := await first()) != (theirs := await second()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{ours} is never {theirs}")
    return ours


def trimmed(world, partition, begin):
    """Retention: the partition's events below `begin` are gone."""
    log = world.hub.namespace.hubs.find("telemetry").logs[int(partition)]
    log.roll()
    return until(lambda: log.expire(2**62, 0, None) or log.state().begin_sequence_number == begin)


async def test_ingests_lag_is_the_autoscalers(world):
    """What waits in the hub counts the same for our metric and for KEDA, in empty partitions too."""
    lake = Lake(world.data_dir)
    async with ingesting(world, look_interval_s=0.2):
        await send(world, events(1, 101), partition="2")
        await until(lambda: len(lake.keys()) == 100)
        with held_back(world, "ingest"):
            await send(world, events(101, 131), partition="2")
            await send(world, events(131, 138), partition="3")

            async def ours():
                return gauge()

            async def theirs():
                expected = await lags(world, "telemetry", "ingest")
                return expected if expected["2"] == 30 else None

            assert await until_equal(ours, theirs) == {"0": 0, "1": 0, "2": 30, "3": 7}


async def test_what_is_held_and_has_not_landed_is_lag_to_the_autoscaler_alone(world):
    """The one difference: KEDA counts from what landed, our metric from what was taken in."""
    await send(world, events(1, 41), partition="0")
    async with ingesting(world, roll_max_age_s=3_600.0, look_interval_s=0.2):
        await until(lambda: next_sequence("0") == 40 and gauge().get("0") == 0)
        await until_recorded(world, "ingest")
        assert (await lags(world, "telemetry", "ingest"))["0"] == 40
    assert (await lags(world, "telemetry", "ingest"))["0"] == 0


async def until_recorded(world, group):
    """Every partition has its checkpoint."""
    async with asyncio.timeout(PATIENCE_S):
        while set(await recorded(world, "telemetry", group)) != set(PARTITIONS):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_partition_that_nobody_read_yet_is_all_lag(world):
    """Before the first pod both count what is there; with it, a checkpoint of -1 says the same."""
    await send(world, events(1, 41), partition="1")
    assert await lags(world, "telemetry", "ingest") == {"0": 0, "1": 40, "2": 0, "3": 0}
    assert await shown(world, "ingest", {}) == {"0": 0, "1": 40, "2": 0, "3": 0}

    with held_back(world, "ingest"):
        async with ingesting(world, look_interval_s=0.2):
            await until_recorded(world, "ingest")
            assert (await recorded(world, "telemetry", "ingest"))["1"] == -1

            async def ours():
                return gauge()

            async def theirs():
                return await lags(world, "telemetry", "ingest")

            assert (await until_equal(ours, theirs))["1"] == 40


async def test_what_retention_took_before_the_first_read_is_no_lag(world):
    """A partition that begins at 50 has its first checkpoint at 49: what is gone asks for no pod."""
    await send(world, events(1, 51), partition="0")
    await trimmed(world, "0", 50)
    await send(world, events(51, 81), partition="0")
    assert (await lags(world, "telemetry", "ingest"))["0"] == 30

    with held_back(world, "ingest"):
        async with ingesting(world, look_interval_s=0.2):
            await until_recorded(world, "ingest")
            assert (await recorded(world, "telemetry", "ingest"))["0"] == 49

            async def ours():
                return gauge()

            async def theirs():
                return await lags(world, "telemetry", "ingest")

            assert (await until_equal(ours, theirs))["0"] == 30


async def test_what_retention_took_from_a_late_reader_is_lag_until_it_is_noted(world):
    """Both count the gap while nobody has come to it, and neither once it is recorded in the lake."""
    lake = Lake(world.data_dir)
    await send(world, events(1, 51), partition="0")
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 50)
    await send(world, events(51, 101), partition="0")
    await trimmed(world, "0", 100)
    await send(world, events(101, 121), partition="0")
    assert (await lags(world, "telemetry", "ingest"))["0"] == 70

    async def ours():
        return gauge()

    async def theirs():
        return await lags(world, "telemetry", "ingest")

    with held_back(world, "ingest"):
        async with ingesting(world, look_interval_s=0.2):
            assert (await until_equal(ours, theirs))["0"] == 70
    async with ingesting(world, look_interval_s=0.2):
        await until(lambda: len(lake.keys()) == 70 and gauge().get("0") == 0)  # a checkpoint follows its file
        assert (await until_equal(ours, theirs))["0"] == 0


async def test_the_scorers_lag_is_the_autoscalers(world):
    """The scorer's checkpoints follow its output, so what KEDA counts is what waits for its price."""

    def taken():
        found = {partition: next_sequence(partition) for partition in PARTITIONS}
        return {partition: int(value) for partition, value in found.items() if value is not None}

    async def ours():
        return await shown(world, "scorer", taken())

    async def theirs():
        return await lags(world, "telemetry", "scorer")

    settings = world.settings(ScorerSettings, http=False, checkpoint_interval_s=0.2)
    async with running(settings):
        await send(world, events(1, 61), partition="3")
        await until(lambda: next_sequence("3") == 60)
        await until_recorded(world, "scorer")
        assert await until_equal(ours, theirs) == dict.fromkeys(PARTITIONS, 0)
        with held_back(world, "scorer"):
            await send(world, events(61, 86), partition="3")
            assert await until_equal(ours, theirs) == {"0": 0, "1": 0, "2": 0, "3": 25}


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
        (0, 9, 9 + 10_000, 2**63 - 1 - 10_000),  # not stale any more: a hub that was made anew
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
