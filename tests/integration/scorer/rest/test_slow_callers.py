"""Who sends or takes too slowly: it holds nothing for long."""

import asyncio
import select
import socket
from contextlib import suppress

import pytest

from tests.integration.scorer.rest.conftest import HEAD


async def test_a_slow_sender_is_let_go(serving):
    """A body that does not arrive in time is 408 and the connection is closed."""
    async with serving(body_timeout_s=0.05) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in await reader.read()
        writer.close()


async def test_who_does_not_read_its_answers_is_cut_off(serving):
    """A caller that asks and asks and takes nothing of its answers loses its connection."""
    async with serving(answer_timeout_s=0.2, key={}) as http:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.connect(("127.0.0.1", http.port))
            caller.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
            await asyncio.wait_for(asyncio.to_thread(_send_until_refused, caller), 60)
        assert (await http.ask("GET", "/healthz")).status == 200


def _send_until_refused(caller):
    """The kernel ends such a connection without a word: what is sent after that is answered with a reset."""
    refused = select.poll()
    refused.register(caller, 0)  # nothing but POLLERR and POLLHUP
    while not refused.poll(50):
        with suppress(BlockingIOError, ConnectionError):
            caller.send(b"G", socket.MSG_DONTWAIT)


async def test_a_head_that_never_ends_is_cut_off(serving):
    """Who sends its head a byte at a time is cut off as who sends nothing: bytes buy no time."""
    async with serving(idle_timeout_s=0.2) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        ended = asyncio.create_task(reader.read())
        writer.write(HEAD)
        while not ended.done():
            writer.write(b"X")
            await asyncio.wait([ended], timeout=0.02)
        writer.close()
        with suppress(ConnectionError):
            assert await ended == b""


@pytest.mark.parametrize("sent", [b"", b"POST /v1/prices HT", HEAD])
async def test_a_silent_connection_is_closed(serving, sent):
    """Who connects and sends no whole request head holds nothing for long."""
    async with serving(idle_timeout_s=0.05) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
