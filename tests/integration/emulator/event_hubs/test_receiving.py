import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.eventhub import EventData, EventHubConsumerClient

from tests.support.embedded_stack import PATIENCE_S


@pytest.fixture
async def filled(client):
    """Ten batches of ten on partition 0."""
    async with client.producer() as producer:
        for start in range(0, 100, 10):
            batch = await producer.create_batch(partition_id="0")
            for number in range(start, start + 10):
                batch.add(EventData(b"%d" % number))
            await producer.send_batch(batch)
    return client


async def first_number(client, position, *, inclusive=False):
    [(_, event), *_] = await client.receive(
        1, partition_id="0", starting_position=position, starting_position_inclusive=inclusive
    )
    return event.sequence_number


async def test_from_the_beginning(filled):
    """-1 gives everything that there is."""
    received = await filled.receive(100, partition_id="0")
    assert [event.sequence_number for _, event in received] == list(range(100))


async def test_from_a_sequence_number(filled):
    """A reader starts after, or at, a recorded sequence number."""
    assert await first_number(filled, 41) == 42
    assert await first_number(filled, 41, inclusive=True) == 41


async def test_from_an_offset(filled):
    """A reader starts after, or at, a recorded offset."""
    received = await filled.receive(50, partition_id="0")
    offset = received[49][1].offset
    assert await first_number(filled, offset) == 50
    assert await first_number(filled, offset, inclusive=True) == 49


async def test_from_a_time(filled):
    """A reader starts with the first event after a moment."""
    assert await first_number(filled, datetime.now(UTC) - timedelta(hours=1)) == 0
    received = await filled.receive(100, partition_id="0")
    moment = received[50][1].enqueued_time
    expected = next(event.sequence_number for _, event in received if event.enqueued_time >= moment)
    assert await first_number(filled, moment, inclusive=True) == expected


async def test_from_now_on(filled):
    """@latest gives only what is sent after the reader came."""
    started = asyncio.Event()
    received = []
    done = asyncio.Event()

    async def on_event(context, event):
        if event is None:
            started.set()
            return
        received.append(event.body_as_str())
        done.set()

    async with filled.reading(on_event, partition_id="0", starting_position="@latest", max_wait_time=1):
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
            await filled.send(b"new", partition_id="0")
            await done.wait()
    assert received == ["new"]


async def test_a_waiting_reader_is_served_at_once(server, filled):
    """A reader at the end receives what is appended later, without being asked again."""
    receiving = asyncio.create_task(filled.receive(103, partition_id="0"))
    for number in range(100, 103):
        await filled.send(b"%d" % number, partition_id="0")
    assert [event.sequence_number for _, event in await receiving] == list(range(103))


async def test_readers_may_know_the_end_of_the_partition(filled):
    """With last-enqueued tracking each event carries the end of the partition."""
    seen = []
    done = asyncio.Event()

    async def on_event(context, event):
        seen.append(context.last_enqueued_event_properties)
        done.set()

    async with filled.reading(
        on_event, partition_id="0", starting_position="-1", track_last_enqueued_event_properties=True
    ):
        async with asyncio.timeout(PATIENCE_S):
            await done.wait()
    properties = await filled_properties(filled)
    assert seen[0]["sequence_number"] == 99
    assert seen[0]["offset"] == properties["last_enqueued_offset"]
    assert seen[0]["enqueued_time"] == properties["last_enqueued_time_utc"]


async def filled_properties(client):
    async with client.producer() as producer:
        return await producer.get_partition_properties("0")


async def test_an_event_processor_reads_all_partitions(client):
    """The SDK's processor owns every partition and receives every event once."""
    for partition in range(4):
        await client.send(*(b"%d" % number for number in range(50)), partition_id=str(partition))
    received = await client.receive(200)
    assert {(partition, event.sequence_number) for partition, event in received} == {
        (str(partition), number) for partition in range(4) for number in range(50)
    }
    assert len(received) == 200


async def test_the_sync_client_receives_too(filled):
    """The SDK without asyncio works the same."""

    def receive():
        numbers = []
        consumer = EventHubConsumerClient.from_connection_string(
            filled.connection_string, consumer_group="$Default", eventhub_name="telemetry"
        )

        def on_batch(context, events):
            numbers.extend(event.sequence_number for event in events)
            if len(numbers) >= 100:
                consumer.close()

        consumer.receive_batch(on_batch, partition_id="0", starting_position="-1", max_wait_time=1)
        return numbers

    assert await asyncio.to_thread(receive) == list(range(100))


async def test_properties_tell_what_is_there(server, filled):
    """Hub and partition properties are those that the hub was made with and holds now."""
    async with filled.consumer() as consumer:
        hub = await consumer.get_eventhub_properties()
        full = await consumer.get_partition_properties("0")
        empty = await consumer.get_partition_properties("1")
    assert hub["eventhub_name"] == "telemetry"
    assert hub["partition_ids"] == ["0", "1", "2", "3"]
    created_ms = server.namespace.hubs.find("telemetry").description.created_at_ms
    assert hub["created_at"] == datetime.fromtimestamp(created_ms / 1000, UTC)
    assert (full["beginning_sequence_number"], full["last_enqueued_sequence_number"]) == (0, 99)
    assert not full["is_empty"]
    assert (empty["beginning_sequence_number"], empty["last_enqueued_sequence_number"]) == (0, -1)
    assert empty["is_empty"]
    assert empty["last_enqueued_offset"] == "-1"
