"""Prices over real HTTP."""

import asyncio
import gzip
import json
import socket

import aiohttp
import pytest

from services.scorer.__main__ import serve
from services.scorer.model import load_model
from services.scorer.pricing import Pricer
from services.scorer.registry import read_shipped
from services.scorer.rest.app import make_app
from services.scorer.serving import ServedModel
from services.scorer.settings import ScorerSettings
from shared.errors import PortInUse, SettingsError
from shared.metrics import serve_app

FOCUS = {
    "make": "ford",
    "model": "Focus",
    "year": 2017,
    "transmission": "manual",
    "fuel_type": "petrol",
    "engine_l": 1.0,
    "odometer_km": 45_000,
    "rated_consumption_l_100km": 4.65,
}
KEY = {"Authorization": "Bearer fleetprice-dev-key"}


@pytest.fixture(scope="module")
def served():
    return ServedModel(Pricer(load_model(read_shipped(None))))


@pytest.fixture
async def http(served):
    app = make_app(ScorerSettings(max_body_bytes=300_000), served, lambda: True)
    async with (
        serve_app(app, "127.0.0.1", 0, "PORT") as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=KEY) as session,
    ):
        yield session


async def post(http, body, **options):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    options.setdefault("headers", {"Content-Type": "application/json"})
    async with http.post("/v1/prices", data=data, **options) as response:
        return response, await response.json(content_type=None)


async def refused(http, body, status, **options):
    response, problem = await post(http, body, **options)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"].startswith("urn:fleetprice:problem:")
    return problem


async def test_a_vehicle_is_priced(http):
    """A vehicle gets its price, interval, currency, coverage and the model that made them."""
    response, answer = await post(http, {"vehicles": [{**FOCUS, "id": "a-1"}]})
    assert response.status == 200
    (price,) = answer["prices"]
    assert 0 < price["lower"] < price["price"] < price["upper"]
    assert {key: price[key] for key in ("id", "currency", "coverage", "model", "version")} == {
        "id": "a-1",
        "currency": "GBP",
        "coverage": 0.9,
        "model": "price",
        "version": "1",
    }
    assert price["extrapolated"] == []


async def test_one_vehicle_alone_is_accepted(http):
    """One vehicle's object without the list around it gets the same answer."""
    _, alone = await post(http, FOCUS)
    _, listed = await post(http, {"vehicles": [FOCUS]})
    assert alone == listed


async def test_case_and_spaces_do_not_matter(http):
    """Make, model, fuel and transmission match whatever their case and outer spaces."""
    spelt = {
        **FOCUS,
        "make": " FORD",
        "model": "fOCUS ",
        "fuel_type": "Petrol",
        "transmission": " MANUAL ",
    }
    _, answer = await post(http, {"vehicles": [FOCUS, spelt]})
    first, second = answer["prices"]
    assert first == second


async def test_make_model_and_year_are_enough(http):
    """Every other field may be absent: the price is given and what is missing is flagged."""
    _, answer = await post(http, {"make": "ford", "model": "focus", "year": 2017, "fuel_type": None})
    (price,) = answer["prices"]
    assert set(price["extrapolated"]) == set(FOCUS) - {"make", "model", "year"}


async def test_a_bad_vehicle_fails_alone(http):
    """A vehicle that cannot be priced has its error in its place, with a pointer; the rest are priced."""
    wrong = [
        {**FOCUS, "year": "2017", "id": 7},
        {**FOCUS, "odometer_km": -1},
        {"make": "ford", "year": 2017},
        5,
        {**FOCUS, "make": ""},
        {**FOCUS, "model": "x" * 65},
        {**FOCUS, "year": 10**30},
    ]
    response, answer = await post(http, {"vehicles": [FOCUS, *wrong, FOCUS]})
    assert response.status == 200
    first, *errors, last = answer["prices"]
    assert first == last
    assert errors[0]["id"] == 7
    assert [one["error"]["pointer"] for one in errors] == [
        "/vehicles/1/year",
        "/vehicles/2/odometer_km",
        "/vehicles/3/model",
        "/vehicles/4",
        "/vehicles/5/make",
        "/vehicles/6/model",
        "/vehicles/7/year",
    ]
    assert all(one["error"].keys() == {"type", "title", "detail", "pointer"} for one in errors)


async def test_a_thousand_vehicles_are_priced_at_once(http):
    """A request holds up to 1,000 vehicles; more, or none, is 422."""
    _, answer = await post(http, {"vehicles": [FOCUS] * 1_000})
    assert len(answer["prices"]) == 1_000
    assert (await refused(http, {"vehicles": [FOCUS] * 1_001}, 422))["pointer"] == "/vehicles"
    assert (await refused(http, {"vehicles": []}, 422))["pointer"] == "/vehicles"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b'{"make":"\xff"}', 400),
        (b"[]", 422),
        (b"5", 422),
        (b"{}", 422),
        (b'{"vehicles":5}', 422),
        (b'{"vehicles":[' + b"[" * 50_000 + b"]" * 50_000 + b"]}", 422),
        (b'{"make":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 422),
        (b" " * 300_001, 413),
    ],
)
async def test_bodies_that_cannot_be_served(http, body, status):
    """Malformed, wrong-typed, deep and huge bodies are refused with a problem document, never a 500."""
    await refused(http, body, status)


async def test_compressed_bodies_are_refused(http):
    """A compressed body is 415 and never decompressed, a bomb and a broken one included."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for body in (gzip.compress(b" " * 5_000_000), b"no gzip", gzip.compress(json.dumps(FOCUS).encode())):
        await refused(http, body, 415, headers=headers)


async def test_only_json_is_accepted(http):
    """Another content type is 415."""
    await refused(http, FOCUS, 415, headers={"Content-Type": "application/x-www-form-urlencoded"})


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", "Bearer", "Basic fleetprice-dev-key", "Bearer é"]
)
async def test_a_wrong_key_is_refused(http, authorization):
    """Without an accepted key there is no price: 401."""
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    response, problem = await post(http, FOCUS, headers=headers)
    assert response.status == problem["status"] == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_unknown_paths_and_methods(http):
    """An unknown path is 404, a wrong method 405 with those that are allowed: problem documents both."""
    for method, path, status in (("GET", "/v1/prices", 405), ("GET", "/nowhere", 404)):
        async with http.request(method, path) as response:
            assert (response.status, response.content_type) == (status, "application/problem+json")
            assert response.headers.get("Allow") == ("POST" if status == 405 else None)


async def test_request_ids_are_echoed(http):
    """A caller's request id comes back; one is given where there is none or it is not printable."""
    headers = {"Content-Type": "application/json", "X-Request-Id": "abc-1"}
    response, _ = await post(http, FOCUS, headers=headers)
    assert response.headers["X-Request-Id"] == "abc-1"
    response, _ = await post(http, b"{", headers={**headers, "X-Request-Id": "x" * 500})
    assert len(response.headers["X-Request-Id"]) == 32


async def test_health_and_metrics_need_no_key(served):
    """Probes and metrics answer without a key; not ready is 503; requests are counted by route and status."""
    app = make_app(ScorerSettings(), served, lambda: False)
    async with (
        serve_app(app, "127.0.0.1", 0, "PORT") as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        for path, status in (("/healthz", 200), ("/readyz", 503), ("/metrics", 200), ("/x", 404)):
            async with session.get(path) as response:
                assert response.status == status
        async with session.get("/metrics") as response:
            text = await response.text()
    assert 'fleetprice_http_requests_total{route="/readyz",status="503"}' in text
    assert 'fleetprice_http_requests_total{route="unmatched",status="404"}' in text


async def test_the_development_key_stays_on_loopback():
    """Beyond loopback the scorer starts with keys of your own alone."""
    with pytest.raises(SettingsError, match="FLEETPRICE_SCORER_API_KEYS"):
        await serve(ScorerSettings(stream=False, host="0.0.0.0", http_port=0), asyncio.Event())
    with pytest.raises(SettingsError, match="names no key"):
        await serve(ScorerSettings(stream=False, api_keys=" , ", http_port=0), asyncio.Event())


async def test_a_port_in_use_is_named():
    """A port that is taken is one line that names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match="FLEETPRICE_SCORER_HTTP_PORT"):
            await serve(ScorerSettings(stream=False, http_port=port), asyncio.Event())
