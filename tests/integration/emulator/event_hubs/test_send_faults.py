"""Each fault as a sender sees it through the unmodified SDK, and its recovery."""

import asyncio
import contextlib
import time

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import ConnectError, EventDataSendError, EventHubError

from services.emulator.event_hubs.faults import Fault
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, Frame, FrameReader, frame
from tests.support.embedded_stack import PATIENCE_S

PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"


def count_held(server, partition=0):
    """Return how many events the partition has accepted."""
    return server.namespace.hubs.find("telemetry").logs[partition].next_sequence


@pytest.mark.parametrize(
    ("fault", "condition", "sentence"),
    [
        (Fault("reject", hub="telemetry"), "server-busy", "Error code : 50002"),
        (Fault("reject", condition="com.microsoft:timeout"), "timeout", "allocated time"),
        (Fault("reject", condition="amqp:internal-error", description="Odd."), "internal-error", "Odd."),
        (Fault("fill_up", partition="0"), "resource-limit-exceeded", "No space left"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
async def test_a_refused_send_gets_the_reason_and_leaves_nothing(server, client, fault, condition, sentence):
    """The SDK raises condition and description at once, whatever its retries, and the next send works."""
    armed = server.faults.inject(fault)
    async with client.producer(retry_total=3) as producer:
        with pytest.raises(EventDataSendError, match=sentence) as refused:
            await producer.send_event(EventData(b"refused"), partition_id="0")
        assert (refused.value.error, armed.struck, count_held(server)) == (condition, 1, 0)
        await producer.send_event(EventData(b"accepted"), partition_id="0")
    assert count_held(server) == 1


@pytest.mark.parametrize("kind", ["detach", "close"])
@pytest.mark.parametrize(("at", "appended"), [("send", 0), ("answer", 1)])
async def test_a_link_that_ends_during_a_send_leaves_it_open_what_became_of_it(
    server, client, kind, at, appended
):
    """The sender gets the same error whether its event was appended or not; the next send connects again."""
    server.faults.inject(Fault(kind, at=at))
    async with client.producer() as producer:
        with pytest.raises(EventHubError):
            await producer.send_event(EventData(b"first"), partition_id="0")
        assert count_held(server) == appended
    async with client.producer() as producer:
        await producer.send_event(EventData(b"second"), partition_id="0")
    assert count_held(server) == appended + 1


async def test_over_an_open_link_the_sdk_sends_a_refused_event_once_more(server, client):
    """One refusal is retried silently, a second one is raised, whatever retry_total is."""
    async with client.producer(retry_total=0) as producer:
        await producer.send_event(EventData(b"opens the link"), partition_id="0")
        once = server.faults.inject(Fault("reject"))
        await producer.send_event(EventData(b"accepted at last"), partition_id="0")
        twice = server.faults.inject(Fault("reject", times=2))
        with pytest.raises(EventDataSendError):
            await producer.send_event(EventData(b"refused"), partition_id="0")
    assert (once.struck, twice.struck, count_held(server)) == (1, 2, 2)


@pytest.mark.parametrize(("opening", "retries"), [([b"opens the link"], 0), ([], 3)])
async def test_the_sdk_doubles_what_it_heard_no_answer_to(server, client, opening, retries):
    """It resends blindly over an open link, even without retries: readers must detect doubles."""
    async with client.producer(retry_total=retries) as producer:
        for body in opening:
            await producer.send_event(EventData(body), partition_id="0")
        server.faults.inject(Fault("lose_answer"))
        await producer.send_event(EventData(b"once?"), partition_id="0")
    assert count_held(server) == len(opening) + 2


@pytest.mark.parametrize("at", ["send", "answer"])
async def test_a_slow_hub_answers_late(server, client, at):
    """A delayed send takes that long, and is accepted."""
    server.faults.inject(Fault("delay", at=at, delay_ms=300))
    async with client.producer() as producer:
        began_s = time.monotonic()
        await producer.send_event(EventData(b"late"), partition_id="0")
        assert time.monotonic() - began_s >= 0.3
    assert count_held(server) == 1


async def test_a_refused_attach_is_retried_by_the_sdk(server, client):
    """With retries left the link is opened again; without, the condition reaches the caller."""
    armed = server.faults.inject(Fault("reject", at="attach", role="sender", times=2))
    async with client.producer(retry_total=0) as producer:
        with pytest.raises(ConnectError, match="50002"):
            await producer.send_event(EventData(b"x"), partition_id="0")
    async with client.producer(retry_total=1) as producer:
        await producer.send_event(EventData(b"x"), partition_id="0")
    assert (armed.struck, count_held(server)) == (2, 1)


async def test_questions_about_a_partition_are_refused_and_late(server, client):
    """Runtime properties fail as asked for, once; then they are only slow."""
    server.faults.inject(Fault("reject", at="management", partition="1"))
    server.faults.inject(Fault("delay", at="management", delay_ms=200))
    async with client.producer() as producer:
        with pytest.raises(EventHubError, match="503"):
            await producer.get_partition_properties("1")
        began_s = time.monotonic()
        assert await producer.get_partition_ids() == ["0", "1", "2", "3"]
        assert time.monotonic() - began_s >= 0.2


async def test_a_fault_ends_by_itself(server, client):
    """A fault ends after its time, and a client that keeps trying succeeds."""
    async with client.producer() as producer:
        await producer.create_batch(partition_id="0")
        server.faults.inject(Fault("reject", seconds=0.5))
        while not count_held(server):
            with contextlib.suppress(EventDataSendError):
                await producer.send_event(EventData(b"x"), partition_id="0")
    assert count_held(server) == 1
    assert not server.faults.is_armed


def performative(code, *fields):
    return amqp.described(code, amqp.sequence(fields))


def sender_attach(address):
    none, me = amqp.NULL, amqp.sequence([amqp.string("me")])
    target = amqp.sequence([amqp.string(address)])
    ends = amqp.described(0x28, me), amqp.described(0x29, target)
    return performative(0x12, amqp.string("link"), amqp.uint(0), amqp.boolean(False), none, none, *ends)


def event(number):
    body = amqp.described(0x75, amqp.binary(b"%d" % number))
    fields = amqp.uint(0), amqp.uint(number), amqp.binary(b"t"), amqp.uint(0), amqp.boolean(False)
    return frame(0, performative(0x14, *fields) + body)


async def test_what_follows_a_delayed_send_waits_for_it(server, client):
    """A client with several sends in flight: the first is late, and still the order holds."""
    server.faults.inject(Fault("delay", at="send", delay_ms=200))
    server.faults.inject(Fault("delay", at="send", delay_ms=200, after=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    opening = [
        SASL_HEADER,
        frame(0, performative(0x41, amqp.symbol("PLAIN"), amqp.binary(PLAIN)), 1),
        AMQP_HEADER,
        frame(0, performative(0x10, amqp.string("raw"), amqp.NULL, amqp.uint(65536))),
        frame(0, performative(0x11, amqp.NULL, *[amqp.uint(number) for number in (0, 2**31 - 1, 2**31 - 1)])),
        frame(0, sender_attach("telemetry/Partitions/0")),
    ]
    accepted = performative_encoder.receiver_disposition(0)[:3]
    frames, dispositions = FrameReader(1 << 20), 0
    try:
        writer.write(b"".join([*opening, *map(event, range(6))]))
        async with asyncio.timeout(PATIENCE_S):
            while dispositions < 6:
                data = await reader.read(65536)
                assert data, "the hub hung up"
                dispositions += sum(
                    isinstance(one, Frame) and one.body.startswith(accepted) for one in frames.feed(data)
                )
    finally:
        writer.close()
        await writer.wait_closed()
    received = await client.receive(6, partition_id="0")
    assert [one.body_as_str() for _, one in received] == list("012345")
