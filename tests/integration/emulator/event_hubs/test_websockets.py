"""Websocket peers that are no SDK, and what all transports beside plain TCP have to hold."""

import asyncio
import base64
import contextlib
import os
import struct
from contextlib import AsyncExitStack

import aiohttp
import pytest

from services.emulator.event_hubs.endpoints import WebSocketEndpoint
from services.emulator.event_hubs.event_source import CHUNK_BYTES
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.websocket.frames import MAX_FRAME_BYTES, apply_mask
from services.emulator.websocket.handshake import MAX_HEAD_BYTES
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.asyncio_protocol import WRITE_BUFFER_BYTES
from shared.amqp.frames import AMQP_HEADER, EMPTY_FRAME, SASL_HEADER, frame
from tests.support.embedded_stack import PATIENCE_S

MASK = b"\xa5\x3c\x00\xff"
BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
UPGRADE = (
    b"GET /$servicebus/websocket/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n"
)
PLAIN = b"\0RootManageSharedAccessKey\0SAS_KEY_VALUE"
SOURCE = "telemetry/ConsumerGroups/$Default/Partitions/0"


def performative(code, *fields):
    return amqp.described(code, amqp.sequence(fields))


def make_opening(idle_timeout_ms):
    channel_max = amqp.ushort(1)
    opened = [
        amqp.string("raw"),
        amqp.NULL,
        amqp.uint(65536),
        channel_max,
        amqp.uint(idle_timeout_ms),
    ]
    return (
        SASL_HEADER
        + frame(0, performative(0x41, amqp.symbol("PLAIN"), amqp.binary(PLAIN)), 1)
        + AMQP_HEADER
        + frame(0, performative(0x10, *opened))
    )


def read_everything():
    """A session, a receiving link on one partition, and all the credit there is."""
    begin = [amqp.NULL, amqp.uint(0), amqp.uint(2**31 - 1), amqp.uint(2**31 - 1)]
    filters = amqp.mapping(
        [
            (
                amqp.symbol("apache.org:selector-filter:string"),
                amqp.string("amqp.annotation.x-opt-offset > '-1'"),
            )
        ]
    )
    source = amqp.described(0x28, amqp.sequence([amqp.string(SOURCE), *[amqp.NULL] * 6, filters]))
    target = amqp.described(0x29, amqp.sequence([amqp.string("me")]))
    attach = [amqp.string("link"), amqp.uint(0), amqp.boolean(True), amqp.NULL, amqp.NULL, source, target]
    flow = performative_encoder.flow(
        next_incoming_id=1, incoming_window=2**31 - 1, next_outgoing_id=0, link=(0, 0, 2**30)
    )
    return frame(0, performative(0x11, *begin)) + frame(0, performative(0x12, *attach)) + frame(0, flow)


def encode(opcode, payload, *, first=0x80):
    """A client's frame. `first` holds the bits beside the opcode."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first | opcode]) + length + MASK + apply_mask(payload, MASK)


async def receive_frame(reader):
    """(opcode, payload) of the server's next frame."""
    first, size = await reader.readexactly(2)
    assert first & 0x80
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    return first & 0x0F, await reader.readexactly(size)


async def read_to_end(reader):
    """All that still comes until the server has hung up."""
    rest = b""
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                rest += data
    return rest


@pytest.fixture
async def opened(transports):
    """A websocket that is open, and what writes to it."""
    reader, writer = await transports.connect("ws")
    writer.write(UPGRADE)
    assert b"101 Switching Protocols" in await reader.readuntil(b"\r\n\r\n")
    yield reader, writer
    writer.transport.abort()


async def amqp_connection(transports, kind, first, *, limit=65536):
    """A socket on which AMQP begins with `first`, in a websocket or not."""
    reader, writer = await transports.connect(kind, limit=limit)
    if kind == "tls":
        writer.write(first)
    else:
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(encode(BINARY, first))
    return reader, writer


@pytest.mark.parametrize("kind", ["tls", "ws", "wss"])
async def test_heartbeats_come_over_every_transport(transports, kind):
    """A client that hangs up after silence gets its empty frames in time."""
    reader, writer = await amqp_connection(transports, kind, make_opening(idle_timeout_ms=400))
    came = b""
    async with asyncio.timeout(PATIENCE_S):
        while came.count(EMPTY_FRAME) < 3:
            came += await reader.read(1024)
    writer.transport.abort()


@pytest.mark.parametrize("kind", ["tls", "ws", "wss"])
async def test_a_reader_that_does_not_read_holds_no_memory_on_any_transport(server, client, transports, kind):
    """With unlimited credit and a full socket, the server keeps a buffer, not the backlog."""
    await client.send(*[b"x" * 10_000] * 90, times=20, partition_id="0")
    first = make_opening(idle_timeout_ms=0) + read_everything()
    _reader, writer = await amqp_connection(transports, kind, first, limit=1024)
    async with asyncio.timeout(PATIENCE_S):
        # There is no event to wait for when the kernel's buffers are full.
        while not (paused := [one for one in server._clients if not one.connection.peer.is_writable]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [slow] = paused
    assert slow.protocol.transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES + 2 * CHUNK_BYTES
    writer.transport.abort()


async def test_another_websocket_client_gets_through(transports):
    """aiohttp's client, with pings and fragments of one byte, is answered in AMQP and closed in order."""
    url = f"http://127.0.0.1:{transports.websockets.port}/$servicebus/websocket"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=["AMQPWSB10"], timeout=aiohttp.ClientWSTimeout(20)) as websocket,
    ):
        assert websocket.protocol == "AMQPWSB10"
        await websocket.ping(b"there?")
        for byte in make_opening(idle_timeout_ms=0):
            await websocket.send_bytes(bytes([byte]))
        assert (await websocket.receive_bytes(timeout=20)).startswith(SASL_HEADER)
        await websocket.close()
        assert websocket.close_code == 1000


async def test_fragments_and_pings_may_be_mixed(opened):
    """A message in pieces with a ping among them is one stream of AMQP, and the ping has its answer."""
    reader, writer = opened
    first, second, third = AMQP_HEADER[:3], AMQP_HEADER[3:4], AMQP_HEADER[4:]
    writer.write(encode(BINARY, first, first=0) + encode(PING, b"now?") + encode(0, second, first=0))
    writer.write(encode(PONG, b"") + encode(0, third))
    assert [await receive_frame(reader), await receive_frame(reader)] == [
        (PONG, b"now?"),
        (BINARY, AMQP_HEADER),
    ]


BROKEN_FRAMES = {
    "not masked": (bytes([0x82, 0x01, 0x00]), 1002),
    "a reserved bit": (encode(BINARY, b"", first=0xC0), 1002),
    "a reserved opcode": (encode(3, b""), 1002),
    "the rest of nothing": (encode(0, b"x"), 1002),
    "a second beginning": (encode(BINARY, b"x", first=0) + encode(BINARY, b"y"), 1002),
    "a ping in pieces": (encode(PING, b"", first=0), 1002),
    "a long ping": (encode(PING, b"x" * 126), 1002),
    "text": (encode(TEXT, b"hello"), 1003),
    "too long": (bytes([0x82, 0xFF]) + struct.pack(">Q", MAX_FRAME_BYTES + 1) + bytes(4), 1009),
    "as long as can be": (bytes([0x82, 0xFF]) + struct.pack(">Q", 2**64 - 1) + bytes(4), 1009),
}


@pytest.mark.parametrize(("bytes_sent", "code"), BROKEN_FRAMES.values(), ids=BROKEN_FRAMES)
async def test_a_broken_frame_ends_its_websocket_alone(opened, client, bytes_sent, code):
    """The peer gets the reason in a close frame and is disconnected; others continue."""
    reader, writer = opened
    writer.write(bytes_sent)
    opcode, payload = await receive_frame(reader)
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    assert await read_to_end(reader) == b""


async def test_broken_amqp_is_refused_in_amqp_then_closed(opened, server):
    """Bytes that are not AMQP get CLOSE with the reason, then a close frame, then the end."""
    reader, writer = opened
    writer.write(encode(BINARY, make_opening(idle_timeout_ms=0) + b"\x00\x00\x00\x03\x02\x00\x00\x00"))
    frames = []
    async with asyncio.timeout(PATIENCE_S):
        while not frames or frames[-1][0] != CLOSE:
            frames.append(await receive_frame(reader))
    assert b"amqp:connection:framing-error" in b"".join(payload for _, payload in frames)
    writer.write(encode(CLOSE, struct.pack(">H", 1000)))
    assert await read_to_end(reader) == b""
    assert not server._clients


async def test_a_closing_frame_is_answered(opened):
    """A close frame is answered with its own code."""
    reader, writer = opened
    writer.write(encode(CLOSE, struct.pack(">H", 1001) + b"going away"))
    assert await receive_frame(reader) == (CLOSE, struct.pack(">H", 1001))
    assert await read_to_end(reader) == b""


WRONG_REQUESTS = {
    "another path": (UPGRADE.replace(b"/$servicebus/websocket/", b"/"), b"404"),
    "another method": (UPGRADE.replace(b"GET", b"POST"), b"426"),
    "no upgrade": (b"GET /$servicebus/websocket HTTP/1.1\r\n\r\n", b"426"),
    "another version": (UPGRADE.replace(b"Version: 13", b"Version: 8"), b"426"),
    "another protocol": (UPGRADE.replace(b"AMQPWSB10", b"mqtt"), b"400"),
    "a page of elsewhere": (
        UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: https://elsewhere.example\r\n\r\n"),
        b"403",
    ),
    "garbage": (b"\xff\xfe garbage\r\n\r\n", b"400"),
    "too long": (b"GET / HTTP/1.1\r\n".ljust(MAX_HEAD_BYTES + 1, b"x"), b"431"),
}


@pytest.mark.parametrize(("request_sent", "status"), WRONG_REQUESTS.values(), ids=WRONG_REQUESTS)
async def test_a_wrong_request_is_answered_in_http(transports, server, request_sent, status):
    """A request for anything else, or from a page of another host, gets an HTTP error and the end."""
    reader, writer = await transports.connect("ws")
    writer.write(request_sent)
    assert (await read_to_end(reader)).startswith(b"HTTP/1.1 " + status)
    writer.close()
    assert not server._clients


async def test_garbage_after_the_handshake_ends_only_its_own_websocket(transports, server, client):
    """After arbitrary bytes, the websocket ends without a trace, and the others continue."""
    for number in range(100):
        reader, writer = await transports.connect("ws")
        writer.write(UPGRADE + os.urandom(200 + number))
        writer.write_eof()
        await read_to_end(reader)
        writer.close()
    assert not server._clients
    await client.send(b"still here")


@pytest.mark.parametrize("kind", ["tls", "ws", "wss"])
async def test_a_client_that_vanishes_leaves_nothing(transports, server, kind):
    """Connections dropped in the middle of a frame, a handshake or an upgrade are forgotten."""
    whole = make_opening(idle_timeout_ms=0)
    for cut in (0, 5, len(whole) // 2, len(whole)):
        _reader, writer = await transports.connect(kind)
        writer.write(whole[:cut] if kind == "tls" else (UPGRADE + encode(BINARY, whole))[: 3 * cut])
        await writer.drain()
        writer.transport.abort()
    async with asyncio.timeout(PATIENCE_S):
        # There is no event to wait for: the kernel reports lost connections when it likes.
        while server._clients or transports.websockets._listener.unheard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


BEGINNINGS = {
    "nothing": b"",
    "a byte of TLS": b"\x16",
    "half a request": b"GET / HT",
    "an upgrade": UPGRADE,
    "a header": UPGRADE + encode(BINARY, AMQP_HEADER),
}


@pytest.mark.parametrize("said", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_half_a_beginning_is_not_waited_for(tmp_path, certificate, said):
    """A client that stops before its AMQP connection is open is dropped after a while."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EventHubsServer(tmp_path, patience_s=0.2))
        endpoint = WebSocketEndpoint(server, certificate.server_context())
        await stack.enter_async_context(endpoint)
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(said)
        await read_to_end(reader)
        writer.close()
        assert not server._clients
        assert not endpoint._listener.unheard
