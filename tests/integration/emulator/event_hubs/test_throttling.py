"""Throughput units as the SDK meets them: refused senders, paced readers, and neither in the other's way."""

import asyncio
import time

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventDataSendError

from services.emulator.event_hubs.server import EventHubsServer
from tests.support.embedded_stack import PATIENCE_S

# 20 events a second in and 82 out: little enough to be reached with a few.
FRACTION = 0.02


@pytest.fixture
async def server(tmp_path):
    async with EventHubsServer(tmp_path, throughput_units=FRACTION) as server:
        yield server


async def test_a_sender_above_the_units_is_refused_as_the_service_does(server, client):
    """Beyond its rate the namespace answers server-busy with error code 50002; nothing is appended."""
    async with client.producer() as producer:
        # A batch larger than a second's worth passes once, and the time for it has to go by.
        await producer.send_batch([EventData(b"x")] * 600, partition_id="0")
        with pytest.raises(EventDataSendError, match="Error code : 50002") as refused:
            await producer.send_event(EventData(b"y"), partition_id="1")
        assert refused.value.error == "server-busy"
        assert (await producer.get_partition_properties("1"))["last_enqueued_sequence_number"] == -1
        server.throughput.set_units(None)
        await producer.send_event(EventData(b"y"), partition_id="1")
    assert server.throughput.refused_sends == 1


async def test_a_sender_that_retries_gets_everything_accepted(server, client):
    """A sender that backs off and repeats what was refused has every event in once, in order."""
    async with client.producer() as producer:
        # The first puts the namespace five seconds into debt.
        for number, count in enumerate((120, 6, 6)):
            batch = [EventData(b"%d" % number)] * count
            while True:
                try:
                    await producer.send_batch(batch, partition_id="0")
                    break
                except EventDataSendError:
                    await asyncio.sleep(0.05)
    assert server.throughput.refused_sends > 0
    server.throughput.set_units(None)
    received = await client.receive(132, partition_id="0")
    assert [event.body_as_str() for _, event in received] == ["0"] * 120 + ["1"] * 6 + ["2"] * 6


async def test_readers_are_paced_and_no_other_is_delayed(server, client):
    """Events leave at the units' pace, shared by the readers; questions and sends are answered meanwhile."""
    server.throughput.set_units(None)
    await client.send(*[b"x"] * 200, partition_id="0")
    await client.send(*[b"x"] * 200, partition_id="1")
    server.throughput.set_units(FRACTION)
    began_s = time.monotonic()
    readers = [asyncio.create_task(client.receive(200, partition_id=number)) for number in "01"]
    async with client.producer() as producer:
        await producer.send_event(EventData(b"y"), partition_id="2")
        assert (await producer.get_partition_properties("2"))["last_enqueued_sequence_number"] == 0
    received = await asyncio.gather(*readers)
    # 400 events, of which a second's worth and a portion may leave at once.
    assert time.monotonic() - began_s >= (400 - 2 * 82) / 82
    for events in received:
        assert [event.sequence_number for _, event in events] == list(range(200))


async def test_lifting_the_limit_frees_the_readers(server, client):
    """A reader that was delayed for minutes gets the rest at once when the limit ends."""
    server.throughput.set_units(None)
    await client.send(*[b"x"] * 300, partition_id="0")
    # Two events a minute.
    server.throughput.set_units(0.00001)
    began = asyncio.Event()
    received = []

    async def on_event(context, event):
        received.append(event.sequence_number)
        began.set()

    async with client.reading(on_event, partition_id="0"):
        async with asyncio.timeout(PATIENCE_S):
            await began.wait()
            assert len(received) < 300
            server.throughput.set_units(None)
            while len(received) < 300:
                began.clear()
                await began.wait()
    assert received == list(range(300))
