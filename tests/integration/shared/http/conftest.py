from contextlib import asynccontextmanager

import aiohttp
import pytest

from shared.http.application import make_application
from shared.http.listener import serve_http
from tests.support.notes_app import KEY, RULES, Http, bearer, routes, settings_with


@pytest.fixture
def serving():
    """`async with serving(**changes) as http:` serves with these settings, and asks with a key."""

    @asynccontextmanager
    async def serve(*, key=KEY, rules=RULES, **changes):
        settings = settings_with(**changes)
        app = make_application(settings, rules, routes(), lambda: False)
        async with (
            serve_http(settings, app) as port,
            aiohttp.ClientSession(
                f"http://127.0.0.1:{port}", headers={} if key is None else bearer(key)
            ) as session,
        ):
            yield Http(session, port)

    return serve
