"""There are only so many connections, and always one for a probe."""

import asyncio
import json
import ssl
from contextlib import suppress

import pytest

from services.emulator.tls.certificate import own_certificate
from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.http.connections import CUT_OFF, MAX_EXTRA
from shared.service.errors import SettingsError
from tests.integration.scorer.rest.connections import ALIVE, answer_on, connected, ended
from tests.support.scorer_http import HEAD

DOCS = ALIVE.replace(b"/healthz", b"/docs")


async def test_one_connection_more_than_there_may_be(serving, focus):
    """It is told to come again, and closed; those that are open are served, and room is used again."""
    body = json.dumps(focus).encode()
    price = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with (
        serving(max_connections=2) as http,
        connected(http.port) as first,
        connected(http.port) as second,
    ):
        for held in (first, second):
            assert (await answer_on(*held, ALIVE))[0] == 200
        async with connected(http.port) as third:
            status, headers = await answer_on(*third, price)
            assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
            assert headers["content-type"].startswith("application/problem+json")
            assert await third[0].read() == b""
        for held in (first, second):
            assert (await answer_on(*held, price))[0] == 200
        first[1].close()
        async with asyncio.timeout(60):
            while (await http.post(focus))[0].status != 200:
                pass


async def test_probes_are_answered_among_too_many_connections(serving):
    """Health and metrics are answered at once though far more connect and say nothing than may."""
    before = CUT_OFF.count("extra")
    async with serving(max_connections=1, key={}) as http:
        silent = [await asyncio.open_connection("127.0.0.1", http.port) for _ in range(MAX_EXTRA + 9)]
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/v2/health/ready", 200), ("/x", 503)):
            assert (await http.ask("GET", path)).status == status
        assert (await http.ask("GET", "/metrics")).status == 200
        assert await ended(silent[1][0]) == b""  # the oldest of the extra ones
        assert CUT_OFF.count("extra") >= before + 8
        for _, writer in silent:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_who_never_shakes_hands_counts_and_is_let_go(serving, tmp_path):
    """Over TLS a connection counts from the start, and its handshake has the same time as a request."""
    mine = own_certificate(tmp_path, "127.0.0.1")
    trusting = ssl.create_default_context(cafile=mine.ca)
    tls = {"tls_certificate": mine.chain, "tls_key": mine.key}

    async def asked(port, request):
        async with connected(port, ssl=trusting) as one:
            return (await answer_on(*one, request))[0]

    async with (
        serving(max_connections=1, request_timeout_s=1, **tls) as http,
        connected(http.port) as (reader, _),
    ):
        assert await asked(http.port, ALIVE) == 200
        assert await asked(http.port, DOCS) == 503
        assert await ended(reader) == b""
        async with asyncio.timeout(60):
            while await asked(http.port, DOCS) != 200:
                pass


async def test_more_connections_than_descriptors_are_refused_at_the_start():
    """A number of connections that the process cannot hold is one line that names the setting."""
    settings = ScorerSettings(stream=False, http_port=0, max_connections=2**40)
    with pytest.raises(SettingsError, match="FLEETPRICE_SCORER_MAX_CONNECTIONS"):
        await serve(settings, asyncio.Event())
