"""The number of connections is limited, and a probe always gets one."""

import asyncio
import json
import ssl
from contextlib import suppress

from services.emulator.tls.certificate import own_certificate
from shared.http.connection_limiter import CUT_OFF, MAX_EXTRA
from tests.support.notes_app import HEAD, NOTE
from tests.support.raw_http import ALIVE, connected, read_to_end, request_on

BOOK = ALIVE.replace(b"/healthz", b"/book")


async def test_a_connection_above_the_limit_is_refused(serving):
    """It gets 503 with Retry-After and is closed; open ones are served, and a free place is used again."""
    body = json.dumps(NOTE).encode()
    post = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with (
        serving(connections=2) as http,
        connected(http.port) as first,
        connected(http.port) as second,
    ):
        for held in (first, second):
            assert (await request_on(*held, ALIVE))[0] == 200
        async with connected(http.port) as third:
            status, headers = await request_on(*third, post)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert headers["content-type"].startswith("application/problem+json")
            assert await third[0].read() == b""
        for held in (first, second):
            assert (await request_on(*held, post))[0] == 200
        first[1].close()
        async with asyncio.timeout(60):
            while (await http.post(NOTE)).status != 200:
                pass


async def test_probes_are_answered_among_too_many_connections(serving):
    """Health and metrics are answered while far more callers connect and send nothing than are allowed."""
    before = CUT_OFF.count("extra")
    async with serving(connections=1, key=None) as http:
        silent = [await asyncio.open_connection("127.0.0.1", http.port) for _ in range(MAX_EXTRA + 9)]
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/book", 503), ("/x", 503)):
            assert (await http.get(path)).status == status
        assert (await http.get("/metrics")).status == 200
        assert await read_to_end(silent[1][0]) == b""  # the oldest of the extra ones
        assert CUT_OFF.count("extra") >= before + 8
        for _, writer in silent:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_a_missing_handshake_counts_and_is_cut_off(serving, tmp_path):
    """Over TLS a connection counts from the start, and its handshake has a request's time limit."""
    mine = own_certificate(tmp_path, "127.0.0.1")
    trusting = ssl.create_default_context(cafile=mine.ca)
    tls = {"tls_certificate": mine.chain, "tls_key": mine.key}

    async def asked(port, request):
        async with connected(port, ssl=trusting) as one:
            return (await request_on(*one, request))[0]

    async with (
        serving(connections=1, request_s=1, **tls) as http,
        connected(http.port) as (reader, _),
    ):
        assert await asked(http.port, ALIVE) == 200
        assert await asked(http.port, BOOK) == 503
        assert await read_to_end(reader) == b""
        async with asyncio.timeout(60):
            while await asked(http.port, BOOK) != 200:
                pass
