"""Who sends or takes too slowly: it holds nothing for long."""

import asyncio
import select
import socket
from contextlib import suppress

import pytest

from shared.http.connections import CUT_OFF
from tests.integration.scorer.rest.connections import ALIVE, answer_on, connected, ended
from tests.support.scorer_http import HEAD


async def test_a_body_that_stops_is_let_go(serving):
    """A body that does not arrive in time is 408 and the connection is closed."""
    async with serving(request_timeout_s=0.05) as http:
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


async def test_a_head_that_drips_is_cut_off(serving, focus):
    """A head has one time to arrive in, however steadily it drips; others are served meanwhile."""
    before = CUT_OFF.count("request")
    async with serving(request_timeout_s=0.3) as http, connected(http.port) as (reader, writer):
        over = asyncio.create_task(ended(reader))
        writer.write(HEAD)
        while not over.done():
            writer.write(b"X")
            assert (await http.post(focus))[0].status == 200
            await asyncio.wait([over], timeout=0.02)
        assert await over == b""
        assert CUT_OFF.count("request") == before + 1


@pytest.mark.parametrize("limit", ["request_timeout_s", "idle_timeout_s"])
async def test_a_second_head_that_drips_is_cut_off_too(serving, limit):
    """Whoever was answered once has no more time for its next head than for the first."""
    async with serving(**{limit: 0.3}) as http, connected(http.port) as (reader, writer):
        assert (await answer_on(reader, writer, ALIVE))[0] == 200
        over = asyncio.create_task(ended(reader))
        writer.write(HEAD)
        while not over.done():
            writer.write(b"X")
            await asyncio.wait([over], timeout=0.02)
        assert await over == b""


async def test_a_body_that_drips_is_cut_off(serving, focus):
    """Head and body have one time together: a byte now and then buys none, and the sender is told."""
    async with serving(request_timeout_s=0.3) as http, connected(http.port) as (reader, writer):
        over = asyncio.create_task(ended(reader))
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n{")
        while not over.done():
            writer.write(b" ")
            assert (await http.post(focus))[0].status == 200
            await asyncio.wait([over], timeout=0.02)
        answer = await over
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in answer


async def test_whoever_takes_its_answers_in_drops_is_cut_off(serving, focus):
    """Taking a little of an answer now and then buys no time; others are served meanwhile."""
    before = CUT_OFF.count("answer")
    async with serving(answer_timeout_s=0.4) as http:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(caller, ("127.0.0.1", http.port))
            await loop.sock_sendall(caller, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 120)
            with suppress(ConnectionError):
                while await loop.sock_recv(caller, 1_024):
                    assert (await http.post(focus))[0].status == 200
    assert CUT_OFF.count("answer") == before + 1


@pytest.mark.parametrize("sent", [b"", b"POST /v1/prices HT", HEAD])
async def test_a_silent_connection_is_closed(serving, sent):
    """Who connects and sends no whole request head holds nothing for long."""
    async with serving(idle_timeout_s=0.05) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()
