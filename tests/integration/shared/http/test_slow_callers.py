"""Callers that send or receive too slowly are cut off."""

import asyncio
import select
import socket
from contextlib import suppress

import pytest

from shared.http.connection_limiter import CUT_OFF
from tests.support.notes_app import HEAD, NOTE
from tests.support.raw_http import ALIVE, connected, read_to_end, request_on


async def test_a_body_that_stops_is_refused(serving):
    """A body that does not arrive in time is 408 and the connection is closed."""
    async with serving(request_s=0.05) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in await reader.read()
        writer.close()


async def test_a_caller_that_reads_no_answers_is_cut_off(serving):
    """A caller that sends requests and never reads an answer loses its connection."""
    async with serving(answer_s=0.2, key=None) as http:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.connect(("127.0.0.1", http.port))
            caller.sendall(b"GET /book HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
            await asyncio.wait_for(asyncio.to_thread(_send_until_refused, caller), 60)
        assert (await http.get("/healthz")).status == 200


def _send_until_refused(caller):
    """Send until a reset comes: the kernel ends such a connection silently and resets what is sent later."""
    refused = select.poll()
    refused.register(caller, 0)  # nothing but POLLERR and POLLHUP
    while not refused.poll(50):
        with suppress(BlockingIOError, ConnectionError):
            caller.send(b"G", socket.MSG_DONTWAIT)


async def test_a_head_that_drips_is_cut_off(serving):
    """A head must arrive in time, even if bytes keep coming; others are served meanwhile."""
    before = CUT_OFF.count("request")
    async with serving(request_s=0.3) as http, connected(http.port) as (reader, writer):
        over = asyncio.create_task(read_to_end(reader))
        writer.write(HEAD)
        while not over.done():
            writer.write(b"X")
            assert (await http.post(NOTE)).status == 200
            await asyncio.wait([over], timeout=0.02)
        assert await over == b""
        assert CUT_OFF.count("request") == before + 1


@pytest.mark.parametrize("limit", ["request_s", "idle_s"])
async def test_a_second_head_that_drips_is_cut_off_too(serving, limit):
    """After an answer the next head has no more time than the first."""
    async with serving(**{limit: 0.3}) as http, connected(http.port) as (reader, writer):
        assert (await request_on(reader, writer, ALIVE))[0] == 200
        over = asyncio.create_task(read_to_end(reader))
        writer.write(HEAD)
        while not over.done():
            writer.write(b"X")
            await asyncio.wait([over], timeout=0.02)
        assert await over == b""


async def test_a_body_that_drips_is_cut_off(serving):
    """Head and body have one deadline, which single bytes do not extend, and the sender gets 408."""
    async with serving(request_s=0.3) as http, connected(http.port) as (reader, writer):
        over = asyncio.create_task(read_to_end(reader))
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n{")
        while not over.done():
            writer.write(b" ")
            assert (await http.post(NOTE)).status == 200
            await asyncio.wait([over], timeout=0.02)
        answer = await over
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in answer


async def test_a_caller_that_reads_in_drops_is_cut_off(serving):
    """Reading a little of an answer now and then does not extend its deadline; others are served."""
    before = CUT_OFF.count("answer")
    async with serving(answer_s=0.4) as http:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(caller, ("127.0.0.1", http.port))
            await loop.sock_sendall(caller, b"GET /book HTTP/1.1\r\nHost: x\r\n\r\n" * 120)
            with suppress(ConnectionError):
                while await loop.sock_recv(caller, 1_024):
                    assert (await http.post(NOTE)).status == 200
                    await asyncio.sleep(0.02)  # slow on a fast machine too, and below the rate limit
    assert CUT_OFF.count("answer") == before + 1


@pytest.mark.parametrize("sent", [b"", b"POST /notes HT", HEAD])
async def test_a_silent_connection_is_closed(serving, sent):
    """A connection without a whole request head is closed."""
    async with serving(idle_s=0.05) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
