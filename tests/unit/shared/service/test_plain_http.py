"""What a listener answers to bytes that are no request, without telling which software it runs."""

import asyncio
import json

import pytest
from aiohttp import web

from shared.service.plain_http import serve_plain

NOT_HTTP = {
    "method": b"bad\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 70_000 + b"\r\n\r\n",
    "long target": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\x00",
}


@pytest.fixture
async def port():
    async def answer(_request):
        return web.Response(text="fine")

    async def fail(_request):
        raise ValueError("secret")

    app = web.Application()
    app.add_routes([web.get("/", answer), web.get("/fails", fail)])
    async with serve_plain(app, "127.0.0.1", 0, close_s=1.0) as port:
        yield port


async def ask(port, request):
    """(status, headers, body) of the answer to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers["Content-Length"]))
    writer.close()
    await writer.wait_closed()
    return int(lines[0].split()[1]), headers, body


@pytest.mark.parametrize("flaw", NOT_HTTP)
async def test_what_is_not_http_is_refused_in_one_form(port, caplog, flaw):
    """A JSON object with a sentence of ours; it is the sender's mistake, so nothing is logged."""
    status, headers, body = await ask(port, NOT_HTTP[flaw])
    assert (status, headers["Server"]) == (400, "fleetprice")
    assert json.loads(body) == {"error": "the request is not valid HTTP"}
    assert not caplog.records


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nowhere", 404), ("/fails", 500)])
async def test_no_answer_names_the_software(port, caplog, path, status):
    """Neither a good answer nor an error tells Python's or aiohttp's version, or the cause of a failure."""
    answered, headers, body = await ask(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answered == status
    assert headers["Server"] == "fleetprice"
    assert b"secret" not in body
    assert ("secret" in caplog.text) == (status == 500)
