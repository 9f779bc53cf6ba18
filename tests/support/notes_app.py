"""A small application on the HTTP library: notes, which are echoed to callers, and a book, which is large."""

from dataclasses import dataclass, replace

import aiohttp
from aiohttp import web

from shared.http.limits import ConnectionLimits, RateLimit
from shared.http.middleware import CALLER, PathRules
from shared.http.request_body import JSON, read_body, require_content_type
from shared.http.responses import Answer
from shared.http.settings import HttpSettings, KeySources
from shared.service.metrics import health_routes

KEY = "a-key"
# How a note begins that is written to a socket by hand.
HEAD = b"POST /notes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-key\r\n"
NOTE = {"text": "buy milk"}
BOOK = b"Once upon a time. " * 2_000
SETTINGS = HttpSettings(
    prefix="FLEETPRICE_NOTES_",
    host="127.0.0.1",
    port=0,
    limits=ConnectionLimits(connections=500, request_s=10.0, answer_s=30.0, idle_s=75.0),
    rate_limit=RateLimit(1_000.0, 1_000.0, "too-many-notes", "no more notes for now"),
    max_requests=256,
    max_body_bytes=300_000,
    drain_s=5.0,
    keys=KeySources(None, None, KEY),
    watch_interval_s=0.01,
)
RULES = PathRules(
    needs_caller=lambda path: path.startswith("/notes"),
    probes=frozenset({"/healthz", "/readyz", "/metrics"}),
)


def settings_with(**changes):
    """Return the settings with changes, also of their connection limits."""
    limits = {name: changes.pop(name) for name in ConnectionLimits.__slots__ if name in changes}
    return replace(SETTINGS, limits=replace(SETTINGS.limits, **limits), **changes)


def bearer(credential):
    return {"Authorization": f"Bearer {credential}"}


async def echo(request):
    require_content_type(request, (JSON,))
    body = await read_body(request)
    request[CALLER].charge(body.count(b"more"))
    return Answer(body, JSON)


async def read_book(_request):
    return Answer(BOOK, "text/plain")


async def fail(_request):
    raise ZeroDivisionError


def routes():
    own = [web.post("/notes", echo), web.get("/book", read_book), web.get("/fail", fail)]
    return [*health_routes(lambda: True), *own]


@dataclass(frozen=True)
class Http:
    """A client of the running application; every answer is read whole."""

    session: aiohttp.ClientSession
    port: int

    async def get(self, path):
        async with self.session.get(path) as response:
            await response.read()
            return response

    async def post(self, note, **headers):
        """Send a note."""
        async with self.session.post("/notes", json=note, headers=headers) as response:
            await response.read()
            return response
