"""Versions swapped one after the other while HTTP and stream are priced."""

import asyncio
import json
from collections import Counter

import aiohttp
import pytest

from services.scorer.settings import ScorerSettings
from shared.lake.client import LakeConnection, open_lake
from shared.pricing.pricer import Pricer
from shared.registry.layout import PRICE
from shared.registry.promotion import promote
from shared.service.processes.free_ports import free_port
from tests.support import model_versions
from tests.support.embedded_stack import PATIENCE_S
from tests.support.scoring import Fleet, Published, running

KEY = {"Authorization": "Bearer fleetprice-dev-key"}
FOCUS = {"make": "ford", "model": "focus", "year": 2017, "odometer_km": 45_000.0}
NAMES = ("1", "2", "3")
SWAPS = 6
# More readings than an output event holds, so that a swap could fall into the middle of one.
MAX_ROWS, ROWS = 20, 90


@pytest.fixture
def settings(world):
    return world.settings(
        ScorerSettings, http_port=free_port(), model_interval_s=0.05, max_rows=MAX_ROWS, vehicles_per_s=1e9
    )


@pytest.fixture(scope="module")
def prices():
    """The price of a Focus by each version, to the penny."""
    pricer = Pricer.from_files(model_versions.SHIPPED)
    columns = {field: [FOCUS.get(field)] for field in pricer.fields}
    (price,) = pricer.price(columns).price
    return {name: price * model_versions.factor_of(name) for name in NAMES}


class Callers:
    """Callers that ask for prices without a pause until `stop`; any other answer is kept as a failure."""

    def __init__(self, http, prices):
        self.http, self.prices = http, prices
        self.answered, self.failures = Counter(), []
        self._is_over = False

    async def ask(self, count, query=""):
        while not self._is_over:
            body = {"vehicles": [FOCUS] * count}
            try:
                async with self.http.post(f"/v1/prices{query}", json=body) as response:
                    answer = await response.json()
                    self._judge(response.status, answer)
            except (aiohttp.ClientError, KeyError) as error:
                self.failures.append(repr(error))

    def stop(self):
        self._is_over = True

    def _judge(self, status, answer):
        named = {one["version"] for one in answer["prices"]}
        if status != 200 or len(named) != 1:
            self.failures.append((status, answer))
            return
        (version,) = named
        if any(abs(one["price"] / self.prices[version] - 1) > 1e-4 for one in answer["prices"]):
            self.failures.append((version, answer))
        self.answered[version] += 1


async def served_version(http):
    async with http.get("/v1/models") as response:
        return next(one["version"] for one in (await response.json())["models"] if one["name"] == "price")


async def swap(lake, http, callers, fleet, version):
    """Promote `version` and send events; return once it serves and has answered."""
    await promote(lake, PRICE, version, by="a test", reason="a swap")
    before = callers.answered[version]
    sent = 0
    while await served_version(http) != version or callers.answered[version] < before + 2:
        await fleet.send([fleet.ndjson(ROWS), fleet.arrow(ROWS), *fleet.singles(5)])
        sent += 2 * ROWS + 5
    return sent


async def test_swaps_under_load(world, settings, prices):
    """During repeated swaps no request fails, every reading is priced once, and each event by one
    version.
    """
    fleet, published = Fleet(settings), Published(settings)
    sent = 0
    async with open_lake(LakeConnection.from_settings(settings)) as lake:
        for name in NAMES:
            await model_versions.store(lake, name, model_versions.made(name))
        await model_versions.point(lake, "1")
        async with (
            running(settings),
            aiohttp.ClientSession(f"http://127.0.0.1:{settings.http_port}", headers=KEY) as http,
            asyncio.timeout(PATIENCE_S),
        ):
            await fleet.send(fleet.singles(1))
            await published.of("v1", 1)
            callers = Callers(http, prices)
            asking = [
                asyncio.create_task(callers.ask(count, query))
                for count, query in ((1, ""), (40, ""), (1, "?explain=true"))
            ]
            for number in range(SWAPS):
                sent += await swap(lake, http, callers, fleet, NAMES[(number + 1) % len(NAMES)])
            callers.stop()
            await asyncio.gather(*asking)
            await published.of("v1", sent + 1)
            outputs = await published.events()
            predictions = await published.of("v1", sent + 1)
    await published.close()
    assert callers.failures == []
    assert set(callers.answered) == set(NAMES)
    assert [one.reading_no for one in predictions] == list(range(1, sent + 2))
    assert {one.version for one in predictions} == set(NAMES)
    by_event = {}
    for one in predictions:
        by_event.setdefault(one.source_sequence_number, set()).add(one.version)
        assert one.price == pytest.approx(prices[one.version], rel=1e-4)
    assert all(len(found) == 1 for found in by_event.values())
    assert len(outputs) > len(by_event) / 5


async def test_a_swap_is_shown(world, settings):
    """`GET /v1/models` names the version in service and since when; a refused one never appears there."""
    async with open_lake(LakeConnection.from_settings(settings)) as lake:
        await model_versions.store(lake, "1", model_versions.SHIPPED)
        await model_versions.store(lake, "2", model_versions.made("2"))
        await model_versions.point(lake, "1")
        async with (
            running(settings.model_copy(update={"stream": False})),
            aiohttp.ClientSession(f"http://127.0.0.1:{settings.http_port}", headers=KEY) as http,
            asyncio.timeout(PATIENCE_S),
        ):
            while True:
                try:
                    assert await served_version(http) == "1"
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)
            await model_versions.point(lake, "9")
            metric = 'fleetprice_registry_champion_refused{model="price"} 1.0'
            while True:
                async with http.get("/metrics") as response:
                    if metric in await response.text():
                        break
            assert await served_version(http) == "1"
            await model_versions.point(lake, "2")
            while await served_version(http) != "2":
                pass
            async with http.get("/v1/models") as response:
                shown = json.loads(await response.read())["models"]
    assert [one["name"] for one in shown] == ["price", "automobile"]
    assert shown[0]["loaded_at"] > shown[1]["loaded_at"]
