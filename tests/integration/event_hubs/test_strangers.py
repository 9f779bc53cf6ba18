"""What peers do that are no SDK: silent, slow, garbled, many."""

import asyncio
import contextlib
import os

import pytest

from services.emulator.event_hubs import encoding as amqp
from services.emulator.event_hubs import replies
from services.emulator.event_hubs.allowance import KNOWN_BYTES, SESSION_BYTES, STRANGER_BYTES
from services.emulator.event_hubs.connection import MAX_FRAME_BYTES, WRITE_BUFFER_BYTES
from services.emulator.event_hubs.event_source import CHUNK_BYTES
from services.emulator.event_hubs.frames import (
    AMQP_HEADER,
    SASL_HEADER,
    Frame,
    FrameReader,
    frame,
)
from services.emulator.event_hubs.namespace import IDLE_S
from services.emulator.event_hubs.server import EventHubsServer

PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
SOURCE = "telemetry/ConsumerGroups/$Default/Partitions/0"


def performative(code, *fields):
    return amqp.described(code, amqp.sequence(fields))


OPENING = (
    SASL_HEADER
    + frame(0, performative(0x41, amqp.symbol("PLAIN"), amqp.binary(PLAIN)), 1)
    + AMQP_HEADER
    + frame(0, performative(0x10, amqp.string("raw"), amqp.NULL, amqp.uint(65536)))
    + frame(0, performative(0x11, amqp.NULL, amqp.uint(0), amqp.uint(2**31 - 1), amqp.uint(2**31 - 1)))
)
OPENING_OF_A_STRANGER = OPENING.replace(
    frame(0, performative(0x41, amqp.symbol("PLAIN"), amqp.binary(PLAIN)), 1),
    frame(0, performative(0x41, amqp.symbol("ANONYMOUS"), amqp.NULL), 1),
)


def attach(handle, *, receiver, address, channel=0):
    terminus = amqp.sequence([amqp.string(address)])
    other = amqp.sequence([amqp.string("me")])
    source, target = (terminus, other) if receiver else (other, terminus)
    filters = amqp.mapping(
        [
            (
                amqp.symbol("apache.org:selector-filter:string"),
                amqp.string("amqp.annotation.x-opt-offset > '-1'"),
            )
        ]
    )
    if receiver:
        source = amqp.sequence([amqp.string(address), *[amqp.NULL] * 6, filters])
    return frame(
        channel,
        performative(
            0x12,
            amqp.string(f"link-{handle}"),
            amqp.uint(handle),
            amqp.boolean(receiver),
            amqp.NULL,
            amqp.NULL,
            amqp.described(0x28, source),
            amqp.described(0x29, target),
        ),
    )


def credit(handle, count):
    return frame(
        0,
        replies.flow(
            next_incoming_id=1, incoming_window=2**31 - 1, next_outgoing_id=0, link=(handle, 0, count)
        ),
    )


def transfer(delivery_id, payload, *, more=False, handle=0):
    return frame(
        0,
        performative(
            0x14,
            amqp.uint(handle),
            amqp.uint(delivery_id),
            amqp.binary(b"t"),
            amqp.uint(0),
            amqp.boolean(False),
            amqp.boolean(more),
        )
        + payload,
    )


async def frames_until(reader, wanted, seconds=10):
    """The frames that come up to the first with the performative `wanted`."""
    cutter, frames = FrameReader(MAX_FRAME_BYTES), []
    async with asyncio.timeout(seconds):
        while data := await reader.read(65536):
            frames += [item for item in cutter.feed(data) if isinstance(item, Frame) and item.body]
            if any(item.kind == 0 and item.body[2] == wanted for item in frames):
                return frames
    raise AssertionError(f"closed before {wanted:#x} came")


async def test_garbage_ends_only_its_own_connection(server, client):
    """Whatever bytes come, that connection ends with a reason or is dropped, and the others go on."""
    for number in range(200):
        _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = (b"", SASL_HEADER, AMQP_HEADER, OPENING)[number % 4]
        writer.write(head + os.urandom(200 + number))
        writer.write_eof()
        await writer.drain()
        writer.close()
    await client.send(b"still here")
    assert await client.receive(1)


async def test_thousands_come_and_go(server, client):
    """Connections that are opened and dropped leave nothing behind."""
    for _ in range(20):
        writers = [(await asyncio.open_connection("127.0.0.1", server.port))[1] for _ in range(50)]
        for writer in writers:
            writer.write(OPENING)
            writer.transport.abort()
    await client.send(b"x")
    async with asyncio.timeout(10):
        # Nothing tells when the kernel has passed the news on.
        while server._connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not server.namespace.faults.links


async def test_a_reader_that_does_not_read_holds_no_memory(server, client):
    """With all the credit in the world and a full socket, the server keeps a buffer, not the backlog."""
    await client.send(*[b"x" * 10_000] * 90, times=20, partition_id="0")
    _reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(OPENING + attach(0, receiver=True, address=SOURCE) + credit(0, 2**30))
    async with asyncio.timeout(10):
        # Nothing tells when the kernel's buffers are full.
        while not (paused := [one for one in server._connections if not one.is_writable]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [connection] = paused
    assert connection.transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES + 2 * CHUNK_BYTES
    received = await client.receive(1800, partition_id="0")
    assert len(received) == 1800
    writer.transport.abort()


async def test_a_message_without_end_fills_no_memory(server, client):
    """What a sender adds beyond the limit is counted and forgotten; the message is refused when it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING + attach(0, receiver=False, address="telemetry"))
    for number in range(40):
        writer.write(transfer(0, b"x" * 60_000, more=number < 39))
    frames = await frames_until(reader, 0x15)
    assert b"amqp:link:message-size-exceeded" in frames[-1].body
    assert b"size:2400000 bytes" in frames[-1].body
    [connection] = server._connections
    assert connection.allowance.held_bytes < 10_000
    # The link lives on.
    writer.write(transfer(1, amqp.described(0x75, amqp.binary(b"small"))))
    frames = await frames_until(reader, 0x15)
    assert b"\x53\x24" in frames[-1].body  # accepted
    writer.transport.abort()


async def test_unfinished_messages_are_bounded_together(server):
    """Many links that each leave a message unfinished are cut off before they fill the memory."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING)
    for handle in range(40):
        writer.write(attach(handle, receiver=False, address="telemetry"))
        for _ in range(16):
            writer.write(transfer(0, b"x" * 60_000, more=True, handle=handle))
    frames = await frames_until(reader, 0x18)
    assert b"amqp:resource-limit-exceeded" in frames[-1].body
    writer.transport.abort()


async def test_transfers_are_joined(server, client):
    """A message in many small frames is one event."""
    payload = amqp.described(0x75, amqp.binary(b"y" * 1000))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING + attach(0, receiver=False, address="telemetry/Partitions/1"))
    for start in range(0, len(payload), 7):
        writer.write(transfer(0, payload[start : start + 7], more=start + 7 < len(payload)))
    frames = await frames_until(reader, 0x15)
    assert b"\x53\x24" in frames[-1].body  # accepted
    [(partition, event)] = await client.receive(1)
    assert (partition, event.body_as_str()) == ("1", "y" * 1000)
    writer.transport.abort()


async def test_broken_events_are_rejected(server):
    """What is no message is rejected as such, and stored nowhere."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        OPENING + attach(0, receiver=False, address="telemetry/Partitions/1") + transfer(0, b"garbage")
    )
    frames = await frames_until(reader, 0x15)
    assert b"amqp:decode-error" in frames[-1].body
    assert server.namespace.hubs.find("telemetry").logs[1].state().is_empty
    writer.transport.abort()


@pytest.mark.parametrize(("receiver", "address"), [(True, SOURCE), (False, "telemetry")])
async def test_without_a_token_no_link_opens(server, receiver, address):
    """A connection that proved nothing gets no link to events."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER + attach(0, receiver=receiver, address=address))
    frames = await frames_until(reader, 0x16)
    assert b"amqp:unauthorized-access" in frames[-1].body
    writer.transport.abort()


async def test_a_client_that_asks_for_heartbeats_gets_them(server):
    """An idle connection carries empty frames at half the client's own time-out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    opened = performative(
        0x10, amqp.string("raw"), amqp.NULL, amqp.uint(65536), amqp.ushort(1), amqp.uint(400)
    )
    writer.write(AMQP_HEADER + frame(0, opened))
    received = b""
    async with asyncio.timeout(5):
        while received.count(b"\x00\x00\x00\x08\x02\x00\x00\x00") < 3:
            received += await reader.read(1024)
    writer.transport.abort()


async def test_draining_uses_up_the_credit(server, client):
    """A client that drains is told when nothing more is there."""
    await client.send(b"a", b"b", partition_id="0")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    numbers = [1, 2**31 - 1, 0, 2**31 - 1, 0, 0, 10]
    drain = performative(0x13, *(amqp.uint(number) for number in numbers), amqp.NULL, amqp.boolean(True))
    writer.write(OPENING + attach(0, receiver=True, address=SOURCE) + frame(0, drain))
    frames = await frames_until(reader, 0x13)
    kinds = [item.body[2] for item in frames if item.kind == 0]
    assert kinds[-3:] == [0x14, 0x14, 0x13]
    assert frames[-1].body.endswith(amqp.uint(10) + amqp.uint(0) + amqp.NULL * 4)
    writer.transport.abort()


async def test_a_silent_client_without_links_is_sent_home(server):
    """A connection that neither says nor does anything is closed with the service's own words."""
    server.namespace.idle_s = 0.2
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING)
    frames = await frames_until(reader, 0x18)
    assert b"amqp:connection:forced" in frames[-1].body
    assert b"inactive for more than the allowed 200 milliseconds" in frames[-1].body
    writer.transport.abort()


async def test_a_silent_client_with_a_link_may_stay(server, client):
    """A reader that waits for events need not say anything: the SDK does not, while nobody calls it."""
    server.namespace.idle_s = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING + attach(0, receiver=True, address=SOURCE) + credit(0, 10))
    await frames_until(reader, 0x12)
    server.namespace.idle_s = IDLE_S
    # Several times what a client without a link is given.
    await asyncio.sleep(0.5)
    await client.send(b"after all", partition_id="0")
    frames = await frames_until(reader, 0x14)
    assert b"after all" in frames[-1].body
    writer.transport.abort()


async def test_a_stranger_has_little_to_say(server, client):
    """Before it has proved who it is, a client gets neither large frames nor large handshakes heard."""
    for first in (
        OPENING_OF_A_STRANGER + b"\x00\x02\x00\x00\x02\x00\x00\x00",
        OPENING_OF_A_STRANGER + frame(0, performative(0x12, amqp.string("x" * 20_000), *[amqp.NULL] * 13)),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        frames = await frames_until(reader, 0x18)
        assert b"65536 agreed" in frames[-1].body or b"more than 16384 bytes" in frames[-1].body
        writer.transport.abort()


BEGIN = performative(0x11, amqp.NULL, amqp.uint(0), amqp.uint(2**31 - 1), amqp.uint(2**31 - 1))


def many_links(channel):
    """A session with as many links as it can have."""
    links = (attach(handle, receiver=True, address="$cbs", channel=channel) for handle in range(256))
    return frame(channel, BEGIN) + b"".join(links)


async def test_a_stranger_opens_few_links(server):
    """Links to prove who one is are open to everybody, and bounded: too many end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER + many_links(1))
    frames = await frames_until(reader, 0x18)
    assert b"amqp:resource-limit-exceeded" in frames[-1].body
    assert str(STRANGER_BYTES).encode() in frames[-1].body
    writer.transport.abort()


async def test_sessions_and_links_are_bounded(server):
    """Whoever opens sessions and links without end is cut off, with no more memory held than is allowed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING)
    await frames_until(reader, 0x11)
    [connection] = server._connections
    drinking = asyncio.create_task(reader.read())
    opened = 0
    with contextlib.suppress(ConnectionError):
        for channel in range(1, 256):
            writer.write(many_links(channel))
            await writer.drain()
            opened = channel
            if not server._connections:
                break
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            await drinking
    assert 10 < opened < 255
    assert connection.allowance.held_bytes <= KNOWN_BYTES
    writer.transport.abort()


async def test_sessions_that_end_are_given_back(server):
    """A client may open and end sessions for as long as it lives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER)
    for channel in [*range(1, 50)] * 20:
        writer.write(
            frame(channel, BEGIN)
            + attach(0, receiver=True, address="$cbs", channel=channel)
            + attach(1, receiver=False, address="$cbs", channel=channel)
            + frame(channel, replies.detach(0))
            + frame(channel, replies.end())
        )
    writer.write(frame(0, replies.close()))
    await frames_until(reader, 0x18)
    assert all(connection.allowance.held_bytes <= SESSION_BYTES for connection in server._connections)
    writer.transport.abort()


async def test_a_handshake_byte_by_byte_gets_through(server):
    """A client that sends one byte at a time is served like any other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for byte in OPENING + attach(0, receiver=True, address=SOURCE):
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)
    await frames_until(reader, 0x12)
    writer.transport.abort()


async def test_who_never_finishes_the_handshake_is_dropped(tmp_path):
    """Half a header and then nothing: after a while the server has had enough."""
    async with EventHubsServer(tmp_path / "impatient", patience_s=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(SASL_HEADER + AMQP_HEADER[:5])
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        assert not server._connections
