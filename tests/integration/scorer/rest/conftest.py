from contextlib import asynccontextmanager

import aiohttp
import pytest

from services.scorer.rest.app import make_app
from services.scorer.rest.http_settings import http_settings
from services.scorer.settings import ScorerSettings
from shared.http.listener import serve_http
from shared.pricing.automobile import ActiveAutomobileModel, AutomobilePricer
from shared.pricing.model import load_model
from shared.pricing.pricer import ActivePriceModel, Pricer
from shared.registry.store import read_shipped
from tests.support.scorer_http import KEY, Http


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
            serve_http(http_settings(settings), app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=key) as session,
        ):
            yield Http(session, port)

    return serve


@pytest.fixture
async def http(serving):
    async with serving(max_body_bytes=300_000) as http:
        yield http
