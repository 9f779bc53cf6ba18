"""Behaviour common to every request: content types, methods, ids, logs, drain."""

import asyncio
import gzip
import json
import re
import socket

import pytest
import structlog

from services.scorer.__main__ import serve
from services.scorer.settings import ScorerSettings
from shared.service.errors import PortInUse
from tests.support.scorer_http import HEAD

FORM = "application/x-www-form-urlencoded"


async def test_compressed_bodies_are_refused(http, focus):
    """A compressed body is 415 and never decompressed, even a bomb or a broken one."""
    for body in (gzip.compress(b" " * 5_000_000), b"no gzip", gzip.compress(json.dumps(focus).encode())):
        await http.refused(body, 415, Content_Encoding="gzip")


async def test_only_json_is_accepted(http, focus):
    """Another content type is 415."""
    await http.refused(focus, 415, Content_Type=FORM)


async def test_unknown_paths_and_methods(http):
    """An unknown path is 404, a wrong method 405 with the allowed ones; both are problem documents."""
    for method, path, status in (("GET", "/v1/prices", 405), ("GET", "/nowhere", 404)):
        response = await http.ask(method, path)
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert response.headers.get("Allow") == ("POST" if status == 405 else None)


async def test_old_and_closing_callers_are_answered(http, focus):
    """A caller of HTTP/1.0, and one that closes, gets its whole answer and the connection's end."""
    body = json.dumps(focus).encode()
    head = HEAD + b"Content-Length: %d\r\n" % len(body)
    for asked in (head.replace(b"HTTP/1.1", b"HTTP/1.0"), head + b"Connection: close\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(asked + b"\r\n" + body)
        answer = await reader.read()
        head_lines, _, told = answer.partition(b"\r\n\r\n")
        assert head_lines.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close" in head_lines
        assert json.loads(told)["prices"][0]["price"] > 0
        writer.close()


async def test_a_head_request_has_no_body(http):
    """HEAD has the headers of GET without a body, and the connection stays usable."""
    for _ in range(2):
        response = await http.ask("HEAD", "/openapi.json")
        assert (response.status, response._body) == (200, b"")
        assert int(response.headers["Content-Length"]) > 1_000
    assert (await http.ask("HEAD", "/v1/prices")).headers["Allow"] == "POST"


async def test_request_ids_are_echoed(http, focus):
    """A caller's request id is echoed; without one, or with an invalid one, a new id is given."""
    response, _ = await http.post(focus, X_Request_Id="abc-1")
    assert response.headers["X-Request-Id"] == "abc-1"
    given = [(await http.post(b"{", X_Request_Id="x" * 500))[0].headers["X-Request-Id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in given)
    assert given[0] != given[1]


async def test_a_request_that_fails_can_be_found_in_the_log(http, served, focus):
    """A fault of ours is a 500 whose id is in the log, and the next request is served."""
    sound = served.pricer

    class Broken:
        fields, manifest = sound.fields, sound.manifest

        def columns_of(self, _records):
            raise ZeroDivisionError

    served.replace(Broken())
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as events:
        problem = await http.refused(focus, 500, X_Request_Id="find-me")
    (failure,) = [event for event in events if event["event"] == "request_failed"]
    assert failure["request_id"] == "find-me"
    assert "ZeroDivision" not in json.dumps(problem)
    served.replace(sound)
    assert (await http.post(focus))[0].status == 200


async def test_requests_are_logged_at_debug_only(http, focus):
    """Each request has one access line, at debug; in production there is none."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as events:
        await http.post(focus, X_Request_Id="abc-2")
    (line,) = events
    assert (line["event"], line["log_level"], line["request_id"]) == ("request_answered", "debug", "abc-2")
    assert (line["route"], line["status"]) == ("/v1/prices", 200)


async def test_health_and_metrics_need_no_key(serving):
    """Probes and metrics answer without a key; not ready is 503; requests are counted by route and status."""
    async with serving(is_ready=lambda: False, key={}) as http:
        for path, status in (("/healthz", 200), ("/readyz", 503), ("/metrics", 200), ("/x", 404)):
            assert (await http.ask("GET", path)).status == status
        text = await (await http.ask("GET", "/metrics")).text()
    assert 'fleetprice_http_requests_total{route="/readyz",status="503"}' in text
    assert 'fleetprice_http_requests_total{route="unmatched",status="404"}' in text
    assert 'fleetprice_http_request_seconds_count{route="/readyz",status_class="5xx"}' in text


async def test_a_body_that_breaks_off_is_no_error(serving, focus, caplog):
    """A caller that hangs up in the middle of its body does not affect the next request."""
    async with serving() as http:
        _, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        writer.close()
        await writer.wait_closed()
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        assert (await http.post(focus))[0].status == 200
    assert not caplog.records


async def test_a_draining_scorer_finishes_and_sends_callers_elsewhere(serving, focus):
    """While draining, requests are still answered and each answer closes its connection."""
    async with serving(is_draining=lambda: True) as http:
        response, _ = await http.post(focus)
    assert (response.status, response.headers["Connection"]) == (200, "close")


async def test_requests_in_progress_at_the_end_are_answered(serving, focus):
    """A request whose body is still arriving when the scorer ends gets its prices."""
    body = json.dumps(focus).encode()
    async with serving(http_drain_s=60) as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert b"100 Continue" in await reader.readline()
        asyncio.get_running_loop().call_later(0.05, writer.write, body)  # by then it is ending
    assert not (await reader.readline()).strip()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    assert b'"price":' in await reader.read()
    writer.close()


async def test_a_port_in_use_is_named():
    """A port that is taken is one line that names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match="FLEETPRICE_SCORER_HTTP_PORT"):
            await serve(ScorerSettings(stream=False, http_port=port), asyncio.Event())


@pytest.mark.parametrize("flaw", ["bad\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n"])
async def test_what_is_not_http_is_a_problem_document(http, flaw):
    """As every other refusal; nothing tells Python's or aiohttp's version."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    writer.write(flaw.encode())
    answer = (await reader.read()).decode()
    head, _, body = answer.partition("\r\n\r\n")
    problem = json.loads(body)
    assert " 400 " in head.splitlines()[0]
    assert "Server: fleetprice\r\n" in head
    assert "application/problem+json" in head
    assert (problem["status"], problem["type"]) == (400, "urn:fleetprice:problem:malformed-request")
    writer.close()
    await writer.wait_closed()
