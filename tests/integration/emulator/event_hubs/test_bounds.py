"""A slow, silent, greedy or vanishing peer costs nothing."""

import asyncio
import contextlib
import gc

import psutil

from services.emulator.event_hubs.event_source import CHUNK_BYTES
from services.emulator.event_hubs.namespace import IDLE_S
from services.emulator.event_hubs.server import EventHubsServer
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.asyncio_protocol import WRITE_BUFFER_BYTES
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, frame
from shared.amqp.memory_quota import AUTHENTICATED_BYTES, SESSION_BYTES, UNAUTHENTICATED_BYTES
from tests.integration.emulator.event_hubs.wire import (
    BEGIN,
    OPENING,
    OPENING_OF_A_STRANGER,
    SOURCE,
    attach,
    credit,
    frames_until,
    performative,
    transfer,
)
from tests.support.embedded_stack import PATIENCE_S


async def test_ten_thousand_connections_leave_nothing(server, client):
    """Connections that are opened and dropped leave nothing behind: no file, no task, no link, no memory."""
    await client.send(b"x")
    process = psutil.Process()
    for _ in range(2):
        # The second time shows what the first one left.
        before = process.num_fds(), process.memory_info().rss, len(asyncio.all_tasks())
        for _ in range(50):
            writers = [(await asyncio.open_connection("127.0.0.1", server.port))[1] for _ in range(100)]
            for number, writer in enumerate(writers):
                writer.write(
                    (b"", SASL_HEADER, OPENING, OPENING + attach(0, receiver=True, address=SOURCE))[
                        number % 4
                    ]
                )
                writer.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            # There is no event to wait for: the kernel reports lost connections when it likes.
            while server._clients:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert not server.namespace.faults.links
    await client.send(b"x")
    gc.collect()
    after = process.num_fds(), process.memory_info().rss, len(asyncio.all_tasks())
    assert after[0] <= before[0] + 5
    assert after[1] <= before[1] + (16 << 20)
    assert after[2] <= before[2] + 5


async def test_a_reader_that_does_not_read_holds_no_memory(server, client):
    """With unlimited credit and a full socket, the server keeps a buffer, not the backlog."""
    await client.send(*[b"x" * 10_000] * 90, times=20, partition_id="0")
    _reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(OPENING + attach(0, receiver=True, address=SOURCE) + credit(0, 2**30))
    async with asyncio.timeout(PATIENCE_S):
        # There is no event to wait for when the kernel's buffers are full.
        while not (paused := [one for one in server._clients if not one.connection.peer.is_writable]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [slow] = paused
    assert slow.protocol.transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES + 2 * CHUNK_BYTES
    received = await client.receive(1800, partition_id="0")
    assert len(received) == 1800
    writer.transport.abort()


async def test_a_message_without_end_fills_no_memory(server, client):
    """Bytes beyond the limit are counted and dropped; the message is refused when it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING + attach(0, receiver=False, address="telemetry"))
    for number in range(40):
        writer.write(transfer(0, b"x" * 60_000, more=number < 39))
    frames = await frames_until(reader, 0x15)
    assert b"amqp:link:message-size-exceeded" in frames[-1].body
    assert b"size:2400000 bytes" in frames[-1].body
    [sender] = server._clients
    assert sender.connection.peer.quota.held_bytes < 10_000
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


async def test_a_silent_client_without_links_is_closed(server):
    """A silent connection without links is closed with the service's own words."""
    server.namespace.idle_s = 0.2
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING)
    frames = await frames_until(reader, 0x18)
    assert b"amqp:connection:forced" in frames[-1].body
    assert b"inactive for more than the allowed 200 milliseconds" in frames[-1].body
    writer.transport.abort()


async def test_a_silent_client_with_a_link_may_stay(server, client):
    """A reader that waits for events may be silent: the SDK sends nothing between calls."""
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
    """Before it is authenticated, a client may send neither large frames nor large performatives."""
    for first in (
        OPENING_OF_A_STRANGER + b"\x00\x02\x00\x00\x02\x00\x00\x00",
        OPENING_OF_A_STRANGER + frame(0, performative(0x12, amqp.string("x" * 20_000), *[amqp.NULL] * 13)),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(first)
        frames = await frames_until(reader, 0x18)
        assert b"65536 agreed" in frames[-1].body or b"more than 16384 bytes" in frames[-1].body
        writer.transport.abort()


def many_links(channel):
    """A session with as many links as it can have."""
    links = (attach(handle, receiver=True, address="$cbs", channel=channel) for handle in range(256))
    return frame(channel, BEGIN) + b"".join(links)


async def test_a_stranger_opens_few_links(server):
    """Links to $cbs are open to any client but bounded: too many close the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER + many_links(1))
    frames = await frames_until(reader, 0x18)
    assert b"amqp:resource-limit-exceeded" in frames[-1].body
    assert str(UNAUTHENTICATED_BYTES).encode() in frames[-1].body
    writer.transport.abort()


async def test_sessions_and_links_are_bounded(server):
    """A client that opens sessions and links without end is closed before it holds too much memory."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING)
    await frames_until(reader, 0x11)
    [greedy] = server._clients
    drinking = asyncio.create_task(reader.read())
    opened = 0
    with contextlib.suppress(ConnectionError):
        for channel in range(1, 256):
            writer.write(many_links(channel))
            await writer.drain()
            opened = channel
            if not server._clients:
                break
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            await drinking
    assert 10 < opened < 255
    assert greedy.connection.peer.quota.held_bytes <= AUTHENTICATED_BYTES
    writer.transport.abort()


async def test_sessions_that_end_are_given_back(server):
    """A client may open and end any number of sessions, one after another."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(OPENING_OF_A_STRANGER)
    for channel in [*range(1, 50)] * 20:
        writer.write(
            frame(channel, BEGIN)
            + attach(0, receiver=True, address="$cbs", channel=channel)
            + attach(1, receiver=False, address="$cbs", channel=channel)
            + frame(channel, performative_encoder.detach(0))
            + frame(channel, performative_encoder.end())
        )
    writer.write(frame(0, performative_encoder.close()))
    await frames_until(reader, 0x18)
    assert all(one.connection.peer.quota.held_bytes <= SESSION_BYTES for one in server._clients)
    writer.transport.abort()


async def test_a_handshake_byte_by_byte_gets_through(server):
    """A client that sends one byte at a time is served like any other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for byte in OPENING + attach(0, receiver=True, address=SOURCE):
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)
    await frames_until(reader, 0x12)
    writer.transport.abort()


async def test_an_unfinished_handshake_is_dropped(tmp_path):
    """A client that sends half a header and then nothing is dropped after a while."""
    async with EventHubsServer(tmp_path / "impatient", patience_s=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(SASL_HEADER + AMQP_HEADER[:5])
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        assert not server._clients
