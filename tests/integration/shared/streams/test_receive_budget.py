"""The SDK's own links, bounded in bytes."""

import asyncio

from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.clients import ConsumerClient
from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import body_event, send

EVENTS, EVENT_BYTES = 24, 2**19
LINK_BYTES = 4 * EVENT_BYTES


async def received_by(world, link_bytes, on_batch, prefetch=300):
    """Return the sequence numbers received over a link bounded by `link_bytes`."""
    client = ConsumerClient.from_connection_string(
        world.hub.connection_string, "ingest", eventhub_name="telemetry"
    )
    numbers, done = [], asyncio.Event()

    async def took(context, events):
        numbers.extend(event.sequence_number for event in events)
        await on_batch(client, events)
        if len(numbers) == EVENTS:
            done.set()

    async with client, asyncio.timeout(PATIENCE_S):
        receiving = asyncio.create_task(
            client.receive_events(
                took,
                link_bytes=link_bytes,
                partition_id="0",
                starting_position="-1",
                max_batch_size=4,
                prefetch=prefetch,
            )
        )
        await done.wait()
    await cancel_until_done(receiving)
    return numbers


def consumer_of(client):
    [processor] = client._event_processors.values()
    [consumer] = processor._consumers.values()
    return consumer


def buffered_bytes(client):
    return sum(len(part) for message in consumer_of(client)._message_buffer for part in message.data)


async def test_large_events_wait_in_the_hub(world):
    """A link holds no more bytes than it may, however many events it may; all of them come, in order."""
    most = 0

    async def slowly(client, events):
        nonlocal most
        for _ in range(20):  # the reader's turn: unbounded, it would receive all events
            await asyncio.sleep(0.01)
        most = max(most, buffered_bytes(client) + len(events) * EVENT_BYTES)

    await send(world, [body_event(bytes(EVENT_BYTES)) for _ in range(EVENTS)])

    assert await received_by(world, LINK_BYTES, slowly) == list(range(EVENTS))
    assert EVENT_BYTES < most <= LINK_BYTES


async def test_a_link_closes_while_its_reader_waits_for_room(world):
    """A receiver may stop at any time: a full link does not delay its end."""
    await send(world, [body_event(bytes(EVENT_BYTES)) for _ in range(EVENTS)])
    client = ConsumerClient.from_connection_string(
        world.hub.connection_string, "ingest", eventhub_name="telemetry"
    )
    came = asyncio.Event()

    async def never_done(_context, _events):
        came.set()
        await asyncio.Event().wait()

    receiving = asyncio.create_task(
        client.receive_events(never_done, link_bytes=1, partition_id="0", starting_position="-1")
    )
    async with asyncio.timeout(PATIENCE_S):
        await came.wait()
        await client.close()
        await cancel_until_done(receiving)


async def test_a_link_never_waits_for_credit(world):
    """Credit is renewed while events still come; the SDK renews it when it is spent, 250 ms late."""
    left = []

    async def look(client, _events):
        left.append(consumer_of(client)._handler._link.current_link_credit)

    await send(world, [body_event(b"%d" % number) for number in range(EVENTS)])

    assert await received_by(world, LINK_BYTES, look, prefetch=8) == list(range(EVENTS))
    assert min(left) > 4
