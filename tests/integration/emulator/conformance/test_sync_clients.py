"""The SDK's clients without asyncio: the same promises, in threads."""

import asyncio
import threading

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import AuthenticationError, EventHubError


def read(sdk, count, **options):
    """Return the next `count` events of the hub, by default from the beginning."""
    received = []
    consumer = sdk.sync_consumer()

    def on_batch(_context, events):
        received.extend(events)
        if len(received) >= count:
            enough.set()

    enough = threading.Event()
    reading = threading.Thread(
        target=consumer.receive_batch,
        args=(on_batch,),
        kwargs={"starting_position": "-1", "max_wait_time": 1, **options},
    )
    with consumer:
        reading.start()
        assert enough.wait(30)
    reading.join(30)
    return received


async def test_batches_with_keys_and_partitions(sdk):
    """A batch goes to the partition that is named, or to that of its key, in order."""

    def work():
        with sdk.sync_producer() as producer:
            for placed in ({"partition_id": "3"}, {"partition_key": "vehicle-7"}):
                batch = producer.create_batch(**placed)
                for number in range(5):
                    batch.add(EventData(b"%d" % number))
                producer.send_batch(batch)
            return [producer.get_partition_properties(one) for one in ("3", "1")], read(sdk, 10)

    (named, keyed), received = await asyncio.to_thread(work)
    assert named["last_enqueued_sequence_number"] == keyed["last_enqueued_sequence_number"] == 4
    for key in (None, b"vehicle-7"):
        numbers = [event.body_as_str() for event in received if event.partition_key == key]
        assert numbers == ["0", "1", "2", "3", "4"]


async def test_the_buffered_producer(sdk):
    """Events that are buffered are all handed in, each reported once, with no error."""
    reported, failed = [], []

    def work():
        producer = sdk.sync_producer(
            buffered_mode=True,
            on_success=lambda events, _partition: reported.extend(events),
            on_error=lambda _events, _partition, error: failed.append(error),
            max_wait_time=0.1,
        )
        with producer:
            for number in range(300):
                producer.send_event(EventData(b"%d" % number))
            producer.flush()
        return read(sdk, 300)

    received = await asyncio.to_thread(work)
    assert sorted(int(event.body_as_str()) for event in received) == list(range(300))
    assert len(reported) == 300
    assert not failed


async def test_start_positions(sdk):
    """A reader starts after a number or at it, after an offset, or at a moment."""

    def work():
        with sdk.sync_producer() as producer:
            producer.send_batch([EventData(b"x") for _ in range(10)], partition_id="0")
        everything = read(sdk, 10, partition_id="0")
        return (
            read(sdk, 4, partition_id="0", starting_position=5)[0].sequence_number,
            read(sdk, 5, partition_id="0", starting_position=5, starting_position_inclusive=True)[
                0
            ].sequence_number,
            read(sdk, 4, partition_id="0", starting_position=everything[5].offset)[0].sequence_number,
            read(
                sdk,
                10,
                partition_id="0",
                starting_position=everything[0].enqueued_time,
                starting_position_inclusive=True,
            )[0].sequence_number,
        )

    assert await asyncio.to_thread(work) == (6, 5, 6, 0)


async def test_refusals(sdk):
    """A wrong key, an unknown hub and an event that is too large are refused with the service's errors."""

    def work():
        wrong = sdk.at(connection_string=sdk.connection_string.replace("SAS_KEY_VALUE", "WRONG"))
        with wrong.sync_producer() as producer, pytest.raises(AuthenticationError, match="401"):
            producer.send_batch([EventData(b"x")])
        with (
            sdk.at(hub="nobody").sync_producer() as producer,
            pytest.raises(EventHubError, match="could not be found"),
        ):
            producer.send_batch([EventData(b"x")])
        with sdk.sync_producer() as producer, pytest.raises((EventHubError, ValueError), match="exceed"):
            producer.send_event(EventData(b"x" * 1_100_000))

    await asyncio.to_thread(work)


async def test_a_higher_owner_level_takes_the_partition(sdk):
    """Of two readers with owner levels the higher one reads; the other gets the reason as an error."""

    def work():
        with sdk.sync_producer() as producer:
            producer.send_batch([EventData(b"x")], partition_id="0")
        older, errors = sdk.sync_consumer(retry_total=0), []
        reads, lost = threading.Event(), threading.Event()

        def on_error(_context, error):
            errors.append(str(error))
            lost.set()

        reading = threading.Thread(
            target=older.receive,
            args=(lambda _context, _event: reads.set(),),
            kwargs={"partition_id": "0", "starting_position": "-1", "owner_level": 1, "on_error": on_error},
        )
        with older:
            reading.start()
            assert reads.wait(30)
            assert read(sdk, 1, partition_id="0", owner_level=2)
            assert lost.wait(30)
        reading.join(30)
        return errors[0]

    assert "amqp:link:stolen" in await asyncio.to_thread(work)
