"""The scorer's HTTP side over real sockets."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from services.scorer.rest.app import make_app
from services.scorer.settings import ScorerSettings
from shared.http.listener import serve_http
from shared.pricing.automobile import ActiveAutomobileModel, AutomobilePricer
from shared.pricing.model import load_model
from shared.pricing.pricer import ActivePriceModel, Pricer
from shared.registry.store import read_shipped

KEY = {"Authorization": "Bearer fleetprice-dev-key"}
# How a request begins that is written to a socket by hand.
HEAD = b"POST /v1/prices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fleetprice-dev-key\r\n"


@dataclass(frozen=True)
class Http:
    """A client of one running scorer; every answer is read whole."""

    session: aiohttp.ClientSession
    port: int

    async def ask(self, method, path, body=None, **headers):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.session.request(method, path, data=data, headers=given) as response:
            await response.read()
            return response

    async def post(self, body, path="/v1/prices", **headers):
        """The answer and its JSON."""
        response = await self.ask("POST", path, body, **headers)
        return response, await response.json(content_type=None)

    async def refused(self, body, status, path="/v1/prices", **headers):
        """The problem document of a request that must be refused."""
        response, problem = await self.post(body, path, **headers)
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert problem["status"] == status
        assert problem["type"].startswith("urn:fleetprice:problem:")
        return problem


@pytest.fixture
def focus():
    return {
        "make": "ford",
        "model": "Focus",
        "year": 2017,
        "transmission": "manual",
        "fuel_type": "petrol",
        "engine_l": 1.0,
        "odometer_km": 45_000,
        "rated_consumption_l_100km": 4.65,
    }


@pytest.fixture(scope="session")
def pricer():
    return Pricer(load_model(read_shipped(None)))


@pytest.fixture
def served(pricer):
    return ActivePriceModel(pricer)


@pytest.fixture(scope="session")
def automobile():
    """The second model, which answers /score."""
    return ActiveAutomobileModel(AutomobilePricer(load_model(read_shipped(None, "automobile"))))


@pytest.fixture
def serving(served):
    """`async with serving(**settings) as http:` serves, and asks with the development key."""

    @asynccontextmanager
    async def serve(
        *, is_ready=lambda: True, is_draining=lambda: False, key=KEY, automobile=None, **settings
    ):
        settings = ScorerSettings(http_port=0, watch_interval_s=0.01, **settings)
        app = make_app(settings, served, is_ready, is_draining, automobile)
        async with (
            serve_http(settings, app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=key) as session,
        ):
            yield Http(session, port)

    return serve


@pytest.fixture
async def http(serving):
    async with serving(max_body_bytes=300_000) as http:
        yield http
