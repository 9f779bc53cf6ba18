"""Callers that keep a server busy count only whole answers."""

import asyncio

import pytest

from services.cli.bench.http.callers import send_requests
from services.cli.bench.http.requests import is_whole, price_request

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"price":10}'


def test_an_answer_is_whole_when_its_body_is():
    """Neither a head nor a part of the body is an answer."""
    assert [is_whole(OK[:end]) for end in (20, OK.index(b"{"), len(OK) - 1, len(OK))] == [False] * 3 + [True]


async def count_requests(answers):
    """Return the requests of a server that returns these answers in turn, in their pieces."""
    got = 0

    async def serve(reader, writer):
        nonlocal got
        try:
            while await reader.readexactly(len(price_request())):
                got += 1
                for piece in answers[got % len(answers)]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except asyncio.IncompleteReadError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await asyncio.to_thread(send_requests, server.sockets[0].getsockname()[1], 3, 40)
    return got


async def test_every_request_is_sent_once_and_answered():
    """Whatever the lengths of the answers, and in however many pieces they come."""
    longer = OK.replace(b"12", b"13").replace(b"10}", b"100}")
    assert await count_requests([[OK], [OK[:30], OK[30:]], [longer], [longer[:5], longer[5:]]]) == 40


async def test_a_refusal_ends_the_measurement():
    """A server that refuses is not measured as a fast one."""
    refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ConnectionError, match="503"):
        await count_requests([[OK], [refused]])
