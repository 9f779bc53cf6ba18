import asyncio
import contextlib
import resource

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageHeader, AmqpMessageProperties
from azure.eventhub.exceptions import EventDataSendError, EventHubError

from shared.streams.partition_key import find_partition


async def place(client, count):
    """{body: partition id} of everything in the hub."""
    return {event.body_as_str(): partition for partition, event in await client.receive(count)}


async def test_a_single_event_arrives_with_all_that_was_said_of_it(client):
    """Body, content type, ids and application properties of one event come back as they were sent."""
    event = EventData(b"\x00\xffbody")
    event.properties = {"text": "v", "number": 7, "flag": True}
    event.content_type = "application/json"
    event.correlation_id = "c"
    event.message_id = "m"
    async with client.producer() as producer:
        await producer.send_event(event, partition_id="2")
    [(partition, received)] = await client.receive(1)
    assert partition == "2"
    assert b"".join(received.body) == b"\x00\xffbody"
    assert received.properties == {b"text": b"v", b"number": 7, b"flag": True}
    assert (received.content_type, received.correlation_id, received.message_id) == (
        "application/json",
        "c",
        "m",
    )
    assert (received.sequence_number, received.offset) == (0, "0")


async def test_delivery_annotations_arrive(client):
    """A message with every section that the SDK can write is taken, alone and in a batch."""
    message = AmqpAnnotatedMessage(
        data_body=[b"body"],
        header=AmqpMessageHeader(durable=True),
        properties=AmqpMessageProperties(message_id="m"),
        application_properties={"a": 1},
        annotations={"x-mine": "y"},
        delivery_annotations={"hop": "z"},
        footer={"sum": 3},
    )
    async with client.producer() as producer:
        await producer.send_event(message, partition_id="0")
        batch = await producer.create_batch(partition_id="0")
        batch.add(message)
        batch.add(message)
        await producer.send_batch(batch)
    for _, event in await client.receive(3):
        received = event.raw_amqp_message
        assert b"".join(received.body) == b"body"
        assert received.delivery_annotations == {b"hop": b"z"}
        assert received.footer == {b"sum": 3}
        assert received.annotations[b"x-mine"] == b"y"


async def test_a_batch_keeps_its_order(client):
    """The events of a batch stand together on one partition, numbered in the order they were added."""
    await client.send(*(b"%d" % number for number in range(1000)))
    received = await client.receive(1000)
    assert len({partition for partition, _ in received}) == 1
    assert [event.sequence_number for _, event in received] == list(range(1000))
    assert [event.body_as_str() for _, event in received] == [str(number) for number in range(1000)]


async def test_keys_choose_the_partition_as_the_service_does(client):
    """Events of one key stand on one partition, the one that the service's hash names."""
    keys = [f"vehicle-{number}" for number in range(1, 9)]
    for key in keys:
        await client.send(key.encode(), partition_key=key)
    received = await client.receive(len(keys))
    assert {event.body_as_str(): partition for partition, event in received} == {
        key: str(find_partition(key, 4)) for key in keys
    }
    assert all(event.partition_key.decode() == event.body_as_str() for _, event in received)


async def test_keyless_batches_go_round(client):
    """Batches without a key are spread over all partitions."""
    async with client.producer() as producer:
        for number in range(8):
            await producer.send_batch([EventData(b"%d" % number)])
    where = await place(client, 8)
    assert sorted(where.values()) == ["0", "0", "1", "1", "2", "2", "3", "3"]


async def test_a_full_batch_is_accepted(client):
    """A batch up to the SDK's limit of a megabyte, in several frames, arrives whole."""
    async with client.producer() as producer:
        batch = await producer.create_batch(partition_id="0")
        assert batch.max_size_in_bytes == 1024 * 1024
        with contextlib.suppress(ValueError):
            while True:
                batch.add(EventData(b"x" * 10_000))
        assert batch.size_in_bytes > 1_000_000
        await producer.send_batch(batch)
    received = await client.receive(len(batch))
    assert all(len(event.body_as_str()) == 10_000 for _, event in received)


async def test_one_large_event_arrives(client):
    """An event of almost a megabyte passes both ways."""
    await client.send(b"x" * 1_000_000)
    [(_, event)] = await client.receive(1)
    assert len(event.body_as_str()) == 1_000_000


async def test_above_the_limit_is_refused(client):
    """An event above a megabyte is refused with the service's condition, which the producer reports."""
    async with client.producer() as producer:
        with pytest.raises((EventDataSendError, EventHubError, ValueError), match=r"size|exceed"):
            await producer.send_event(EventData(b"x" * 1_100_000))


async def test_the_sync_client_sends_too(client):
    """The SDK without asyncio works the same."""

    def send():
        with EventHubProducerClient.from_connection_string(
            client.connection_string, eventhub_name="telemetry"
        ) as producer:
            batch = producer.create_batch(partition_id="1")
            batch.add(EventData(b"sync"))
            producer.send_batch(batch)
            return producer.get_partition_properties("1")

    assert (await asyncio.to_thread(send))["last_enqueued_sequence_number"] == 0


async def test_the_buffered_producer_sends_everything(client):
    """The SDK's buffered mode hands in all its events, with no error."""
    failed = []

    async def on_error(events, partition_id, error):
        failed.append(error)

    async def on_success(events, partition_id):
        pass

    producer = client.producer(
        buffered_mode=True, on_success=on_success, on_error=on_error, max_wait_time=0.1
    )
    async with producer:
        for number in range(500):
            await producer.send_event(EventData(b"%d" % number))
        await producer.flush()
    received = await client.receive(500)
    assert {int(event.body_as_str()) for _, event in received} == set(range(500))
    assert not failed


async def test_a_full_disk_is_a_refusal(server, client):
    """If the log cannot grow, sends are refused whole; once there is room they are accepted again."""
    await client.send(*[b"x" * 10_000] * 50, partition_id="0")
    log = server.namespace.hubs.find("telemetry").logs[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with client.producer() as producer:
        await producer.send_event(EventData(b"before"), partition_id="0")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.size_bytes + 1000, hard))
        try:
            with pytest.raises(EventHubError, match="cannot grow"):
                await producer.send_event(EventData(b"x" * 5000), partition_id="0")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert log.state().last_sequence_number == 50
        await producer.send_event(EventData(b"after"), partition_id="0")
    received = await client.receive(52, partition_id="0")
    assert [event.body_as_str() for _, event in received[-2:]] == ["before", "after"]
