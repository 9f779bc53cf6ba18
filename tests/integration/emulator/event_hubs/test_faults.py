"""Each fault as a reader sees it through the unmodified SDK, and its recovery."""

import asyncio
import time

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import ConnectionLostError, EventHubError

from services.emulator.event_hubs.faults import Fault
from tests.support.embedded_stack import PATIENCE_S


async def test_a_detached_reader_recovers_by_itself(server, client):
    """After a forced detach with a full prefetch buffer the SDK continues, and no event is missing."""
    await client.send(*(b"%d" % number for number in range(2000)), partition_id="0")
    numbers = []
    began, done = asyncio.Event(), asyncio.Event()

    async def on_event(context, event):
        numbers.append(event.sequence_number)
        began.set()
        if event.sequence_number == 2099:
            done.set()

    async with client.reading(on_event, partition_id="0", starting_position="-1", prefetch=3000):
        async with asyncio.timeout(PATIENCE_S):
            await began.wait()
            assert server.faults.inject(Fault("detach", hub="telemetry", partition="0")).struck == 1
            await client.send(*(b"%d" % number for number in range(100)), partition_id="0")
            await done.wait()
    assert set(numbers) == set(range(2100))


async def test_a_closed_connection_is_opened_again(server, client):
    """After the whole connection was closed, the SDK's reader continues too."""
    await client.send(b"before", partition_id="0")
    bodies = []
    began, done = asyncio.Event(), asyncio.Event()

    async def on_event(context, event):
        bodies.append(event.body_as_str())
        (done if bodies[-1] == "after" else began).set()

    async with client.reading(on_event, partition_id="0", starting_position="-1"):
        async with asyncio.timeout(PATIENCE_S):
            await began.wait()
            assert server.faults.inject(Fault("close", hub="telemetry")).struck == 1
            await client.send(b"after", partition_id="0")
            await done.wait()
    assert bodies == ["before", "after"]


async def test_a_lost_answer_leaves_the_event_and_an_error(server, client):
    """The sender gets no answer, yet the event is there: resending without a look doubles it."""
    server.faults.inject(Fault("lose_answer", hub="telemetry", times=1))
    async with client.producer() as producer:
        with pytest.raises(EventHubError):
            await producer.send_event(EventData(b"once"), partition_id="3")
    async with client.producer() as producer:
        properties = await producer.get_partition_properties("3")
        assert properties["last_enqueued_sequence_number"] == 0
        await producer.send_event(EventData(b"twice"), partition_id="3")
    assert [event.body_as_str() for _, event in await client.receive(2)] == ["once", "twice"]


async def test_faults_strike_only_what_they_name(server, client):
    """Another hub's, partition's or group's fault does nothing here."""
    await client.send(b"x", partition_id="0")
    began = asyncio.Event()

    async def on_event(context, event):
        began.set()

    faults = server.faults
    async with client.reading(on_event, partition_id="0", starting_position="-1"):
        async with asyncio.timeout(PATIENCE_S):
            await began.wait()
        assert faults.inject(Fault("detach", hub="predictions")).struck == 0
        assert faults.inject(Fault("detach", hub="telemetry", partition="1")).struck == 0
        assert faults.inject(Fault("detach", hub="telemetry", group="ingest")).struck == 0
        assert faults.inject(Fault("detach", hub="telemetry", role="sender")).struck == 0
        assert faults.inject(Fault("detach", hub="TELEMETRY", group="$default")).struck == 1


async def test_deleting_a_hub_ends_its_readers(server, client):
    """Readers of a deleted hub lose their links; a hub of the same name is another one."""
    server.create_hub("short", 1)
    short = type(client)(client.connection_string, hub="short", group="anything")
    await short.send(b"x")
    created = server.namespace.hubs.find("short").description.created_at_ms
    assert await short.receive(1)
    server.delete_hub("short")
    with pytest.raises(EventHubError, match="404"):
        async with short.producer() as producer:
            await producer.get_eventhub_properties()
    assert server.create_hub("short", 1).description.created_at_ms > created


async def test_a_stolen_partition_is_reported_and_claimed_again(server, client):
    """Detached as by a higher epoch, the SDK reports it, and its balancing reclaims the partition."""
    await client.send(b"before", partition_id="0")
    bodies, errors = [], []
    began, told, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def on_event(context, event):
        bodies.append(event.body_as_str())
        (done if "after" in bodies else began).set()

    async def on_error(context, error):
        errors.append(error)
        told.set()

    balancing = {"load_balancing_interval": 1}
    async with client.reading(on_event, on_error=on_error, client_options=balancing):
        async with asyncio.timeout(PATIENCE_S):
            await began.wait()
            assert server.faults.inject(Fault("steal", hub="telemetry", partition="0")).struck == 1
            await told.wait()
            await client.send(b"after", partition_id="0")
            await done.wait()
    assert isinstance(errors[0], ConnectionLostError)
    assert errors[0].error == "link:stolen"
    # Without a checkpoint it begins at its starting position again.
    assert bodies[-2:] == ["before", "after"]


async def test_events_are_held_back_from_one_group_alone(server, client):
    """A reader whose deliveries are late gets every event, in order; another group is not delayed."""
    await client.send(b"0", b"1", b"2", partition_id="0")
    late = server.faults.inject(Fault("delay", at="delivery", group="ingest", delay_ms=400, times=2))
    began_s = time.monotonic()
    slow = type(client)(client.connection_string, group="ingest")
    received, prompt = await asyncio.gather(
        slow.receive(3, partition_id="0"), client.receive(3, partition_id="0")
    )
    assert time.monotonic() - began_s >= 0.4
    assert [event.body_as_str() for _, event in received] == ["0", "1", "2"]
    assert len(prompt) == 3
    assert late.struck == 1
    late.disarm()


async def test_a_reader_that_may_not_attach_tries_again(server, client):
    """Refused twice with any condition, the SDK's reader opens its link at the third attempt."""
    await client.send(b"x", partition_id="0")
    armed = server.faults.inject(Fault("reject", at="attach", role="receiver", times=2))
    assert await client.receive(1, partition_id="0")
    assert armed.struck == 2
