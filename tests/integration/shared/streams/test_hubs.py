import asyncio
import time
from datetime import UTC, datetime

import msgspec
import pytest
from azure.eventhub import EventData
from structlog.testing import capture_logs

from services.emulator.event_hubs.faults import Fault
from shared.contract.prediction import Prediction
from shared.predictions.reader import PredictionReader
from shared.service.errors import Refused, SettingsError
from shared.streams.event_hubs import sender as sender_module
from shared.streams.event_hubs.clients import consumer_client, read_created_at
from shared.streams.event_hubs.messages import read_body, read_sequence_number
from shared.streams.event_hubs.partition_events import Gap, partition_events
from shared.streams.event_hubs.sender import PartitionSender
from tests.support.ingesting import until


def events(*bodies):
    return [EventData(body) for body in bodies]


async def read(connection, hub, until, after=-1):
    bodies = []
    async with consumer_client(connection, hub, "$Default") as client:
        async for batch in partition_events(client, "0", after, until):
            assert not isinstance(batch, Gap)
            bodies += map(read_body, batch)
    return bodies


async def test_what_is_sent_is_read_in_order(world):
    """A partition gives back every event once, in the order of the sends."""
    connection = world.connection()
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        await sender.send(events(b"a", b"b"))
        await sender.send(events(b"c"))
        assert sender.position == 2
    assert await read(connection, "telemetry", 2) == [b"a", b"b", b"c"]
    assert await read(connection, "telemetry", 2, after=1) == [b"c"]


async def test_what_retention_took_is_a_gap(world):
    """A reader that comes late gets the size of the gap, then everything that is left."""
    connection = world.connection()
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        await sender.send(events(b"a", b"b"))
        log = world.hub.namespace.hubs.find("telemetry").logs[0]
        log.expire(world.hub.namespace.now_ms() + 3_600_000, 1, None)
        await sender.send(events(b"c"))
    async with consumer_client(connection, "telemetry", "$Default") as client:
        gap, left = [batch async for batch in partition_events(client, "0", until=2)]
    assert gap == Gap(0, 2)
    assert [read_body(event) for event in left] == [b"c"]


async def test_a_partition_is_read_again_by_the_same_client(world):
    """The SDK accepts a second reader of a partition only once the first has ended: that is awaited."""
    connection = world.connection()
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        await sender.send(events(b"a"))
    async with consumer_client(connection, "telemetry", "$Default") as client:
        for _ in range(2):
            (batch,) = [batch async for batch in partition_events(client, "0", until=0)]
            assert [read_body(event) for event in batch] == [b"a"]


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_lost_answer_is_looked_for_before_resending(world, lost):
    """The hub appended but its answer was lost: nothing is sent twice, nothing is lost."""
    connection = world.connection()
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        await sender.send(events(b"a"))
        world.hub.namespace.faults.inject(Fault("lose_answer", hub="telemetry", times=lost))
        for body in (b"b", b"c", b"d"):
            await sender.send(events(body, body + b"2"))
    assert await read(connection, "telemetry", 6) == [b"a", b"b", b"b2", b"c", b"c2", b"d", b"d2"]


async def test_a_rejected_send_among_several_costs_nothing(world):
    """The hub is busy for the second and third batch of several: all arrive, once, in the order given."""
    connection = world.connection()
    bodies = [b"%d" % number * 400_000 for number in range(6)]
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        armed = world.hub.faults.inject(Fault("reject", hub="telemetry", after=1, times=2))
        # Two of these fill a batch.
        await sender.send(events(*bodies))
        await sender.send(events(b"last"))
    assert armed.struck == 2
    assert await read(connection, "telemetry", 6) == [*bodies, b"last"]


async def test_a_detach_in_the_middle_of_a_stream_costs_nothing(world):
    """A reader whose link is cut with events still buffered sees each event once, in order."""
    connection = world.connection()
    count = 4_000
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        await sender.send(events(*(str(number).encode() for number in range(count))))
    numbers = []
    struck = 0
    async with consumer_client(connection, "telemetry", "$Default") as client:
        async for batch in partition_events(client, "0", -1, count - 1):
            numbers += map(read_sequence_number, batch)
            if len(numbers) < count // 2:
                struck += world.hub.faults.inject(Fault("detach", hub="telemetry", role="receiver")).struck
    assert numbers == list(range(count))
    assert struck


async def test_wrong_key_is_the_persons_to_mend(world):
    """A refused key is reported at once as a setting to change, not retried for ever."""
    wrong = world.hub.connection_string.replace("SAS_KEY_VALUE", "nonsense")
    connection = world.connection(event_hubs=wrong)
    with pytest.raises(SettingsError, match="telemetry"):
        async with PartitionSender(connection, "telemetry", "0", read_body):
            pass


AHEAD_S = 7_200.0


async def test_a_refusal_that_passes_is_waited_out(world):
    """A clock that is hours off makes fresh tokens refused; once it is right again, the send goes on."""
    connection, clock = world.connection(), world.hub.namespace.clock
    async with PartitionSender(connection, "telemetry", "0", read_body) as sender:
        clock.machine = lambda: time.time() + AHEAD_S
        await sender.close()
        with capture_logs() as logs:
            sending = asyncio.create_task(sender.send(events(b"a")))
            await until(lambda: any(one["event"] == "send_failed" for one in logs))
            clock.machine = time.time
            await sending
    assert await read(connection, "telemetry", 0) == [b"a"]


async def test_a_refusal_that_lasts_is_the_persons_to_mend(world, monkeypatch):
    """A hub that refuses fresh tokens for as long as a send is retried ends it with the setting to change."""
    monkeypatch.setattr(sender_module, "_MAX_ATTEMPTS", 1)
    clock = world.hub.namespace.clock
    async with PartitionSender(world.connection(), "telemetry", "0", read_body) as sender:
        clock.machine = lambda: time.time() + AHEAD_S
        await sender.close()
        with pytest.raises(Refused, match="FLEETPRICE_EVENT_HUBS"):
            await sender.send(events(b"a"))


def prediction_event(number, line=0, version="1"):
    prediction = Prediction(
        vehicle_id="v",
        reading_no=number + 1,
        reading_at=datetime(2026, 5, 1, tzinfo=UTC),
        predicted_at=datetime(2026, 5, 1, tzinfo=UTC),
        price=1.0,
        lower=0.5,
        upper=2.0,
        currency="GBP",
        coverage=0.9,
        model="price",
        version=version,
        extrapolated=(),
        source_partition=0,
        source_sequence_number=number,
        source_line=line,
    )
    event = EventData(msgspec.json.encode(prediction))
    event.content_type = "application/json"
    event.properties = {"source_created_at": "2026-01-01T00:00:00+00:00"}
    return event


async def test_the_reader_drops_a_zombies_doubles_and_resumes(world):
    """Doubles of another process or model version never reach the consumer; a token resumes exactly."""
    connection = world.connection()
    sent = [prediction_event(0), prediction_event(1), prediction_event(0, version="2"), prediction_event(2)]
    async with PartitionSender(connection, "predictions", "0", read_body) as sender:
        await sender.send(sent)
    reader = PredictionReader(connection, "predictions", until={"0": 3})
    numbers = []
    token = None
    async for received in reader:
        numbers.append(received.prediction.source_sequence_number)
        if len(numbers) == 2:
            token = reader.token
    assert numbers == [0, 1, 2]
    assert reader.doubles == 1
    again = PredictionReader(connection, "predictions", until={"0": 3}, token=token)
    assert [one.prediction.source_sequence_number async for one in again] == [2]


async def test_a_hub_has_an_identity(world):
    """created_at is the same for every reader, in UTC."""
    connection = world.connection()
    async with consumer_client(connection, "telemetry", "$Default") as one:
        first = await read_created_at(one)
    async with consumer_client(connection, "predictions", "$Default") as other:
        await read_created_at(other)
    async with consumer_client(connection, "telemetry", "$Default") as again:
        assert await read_created_at(again) == first
    assert first.tzinfo is not None


async def test_a_live_reader_waits_for_what_comes(world):
    """A reader at the end of a partition receives later events."""
    connection = world.connection()
    async with (
        consumer_client(connection, "telemetry", "$Default") as client,
        PartitionSender(connection, "telemetry", "0", read_body) as sender,
    ):
        stream = partition_events(client, "0")
        waiting = asyncio.ensure_future(anext(stream))
        await sender.send(events(b"late"))
        batch = await waiting
        assert not isinstance(batch, Gap)
        assert list(map(read_body, batch)) == [b"late"]
        await stream.aclose()
