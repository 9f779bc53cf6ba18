import asyncio

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError

from services.emulator.event_hubs.faults import Fault


async def test_a_detached_reader_recovers_by_itself(server, client):
    """After a forced detach with a full prefetch buffer the SDK goes on, and no event is missing."""
    await client.send(*(b"%d" % number for number in range(2000)), partition_id="0")
    numbers = []
    began, done = asyncio.Event(), asyncio.Event()

    async def on_event(context, event):
        numbers.append(event.sequence_number)
        began.set()
        if event.sequence_number == 2099:
            done.set()

    async with client.reading(on_event, partition_id="0", starting_position="-1", prefetch=3000):
        async with asyncio.timeout(30):
            await began.wait()
            assert server.faults.inject(Fault("detach", hub="telemetry", partition="0")).struck == 1
            await client.send(*(b"%d" % number for number in range(100)), partition_id="0")
            await done.wait()
    assert set(numbers) == set(range(2100))


async def test_a_closed_connection_is_opened_again(server, client):
    """After the whole connection was closed the SDK's reader goes on too."""
    await client.send(b"before", partition_id="0")
    bodies = []
    began, done = asyncio.Event(), asyncio.Event()

    async def on_event(context, event):
        bodies.append(event.body_as_str())
        (done if bodies[-1] == "after" else began).set()

    async with client.reading(on_event, partition_id="0", starting_position="-1"):
        async with asyncio.timeout(30):
            await began.wait()
            assert server.faults.inject(Fault("close", hub="telemetry")).struck == 1
            await client.send(b"after", partition_id="0")
            await done.wait()
    assert bodies == ["before", "after"]


async def test_a_lost_answer_leaves_the_event_and_an_error(server, client):
    """The sender is not told, yet the event is there: who sends again without looking doubles it."""
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
        async with asyncio.timeout(20):
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
