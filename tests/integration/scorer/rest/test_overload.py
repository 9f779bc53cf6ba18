"""Overload: requests above a limit are refused at once, accepted ones are answered."""

import asyncio
import json
from contextlib import suppress

import pytest

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.http.connection_limiter import MAX_EXTRA
from shared.http.middleware import REQUESTS
from shared.service.errors import SettingsError
from tests.support.scorer_http import HEAD

SIZE = 300


async def test_a_huge_body_is_refused_before_it_is_sent(serving):
    """A body that is declared too large is 413 before it arrives."""
    async with serving() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Content-Length: 9999999999\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_more_requests_than_may_be_served_get_503(serving, focus):
    """Overload is answered at once with 503 and Retry-After; the accepted request is answered."""
    async with serving(max_requests=1, request_timeout_s=60) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        answered = REQUESTS.count("/v1/prices", "503")
        writer.write(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % SIZE)
        assert b"100 Continue" in await reader.readline()  # it is in progress now
        problem = await http.refused(focus, 503)
        response, _ = await http.post(focus)
        assert problem["type"].endswith(":overloaded")
        assert response.headers["Retry-After"] == "1"
        assert REQUESTS.count("/v1/prices", "503") == answered + 2
        await reader.readline()
        writer.write(json.dumps(focus).encode().ljust(SIZE))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert (await http.post(focus))[0].status == 200


async def test_vehicles_that_wait_are_bounded(serving, focus):
    """Of many large requests together, some are priced and the others refused as a whole; none is lost."""
    async with serving(max_waiting_vehicles=100) as http:
        body = {"vehicles": [focus] * 100}
        answers = await asyncio.gather(*(http.post(body) for _ in range(20)))
    statuses = [response.status for response, _ in answers]
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert all(len(answer["prices"]) == 100 for response, answer in answers if response.status == 200)


async def test_probes_are_answered_among_too_many_connections(serving):
    """The scorer's own probes and the inference protocol's are answered whatever connects."""
    async with serving(max_connections=1, key={}) as http:
        silent = [await asyncio.open_connection("127.0.0.1", http.port) for _ in range(MAX_EXTRA + 9)]
        for path in ("/healthz", "/readyz", "/metrics", "/v2/health/ready", "/v2/health/live"):
            assert (await http.ask("GET", path)).status == 200
        assert (await http.ask("GET", "/docs")).status == 503
        for _, writer in silent:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_more_connections_than_descriptors_are_refused_at_the_start():
    """A number of connections that the process cannot hold is one line that names the setting."""
    settings = ScorerSettings(stream=False, http_port=0, max_connections=2**40)
    with pytest.raises(SettingsError, match="FLEETPRICE_SCORER_MAX_CONNECTIONS"):
        await serve(settings, asyncio.Event())
