"""Failures of the lake and ingest's behaviour: rows of the table in docs/ingest.md."""

import asyncio
import json

import aiohttp
import pytest
from prometheus_client import REGISTRY

from services.emulator.storage.faults import Fault
from services.ingest import commit
from shared.lake.client import open_lake
from shared.service.errors import NeedsAttention, SettingsError
from shared.service.processes.free_ports import free_port
from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import assert_once, checkpoints, ingesting, readings, send, until

NEVER_S = 3_600.0


async def readiness(port):
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/readyz") as answer,
    ):
        return answer.status


async def becomes_ready(port):
    """Wait for readiness: a file is in the lake a moment before ingest has the answer."""
    async with asyncio.timeout(PATIENCE_S):
        while await readiness(port) != 200:  # noqa: ASYNC110 - a server sends no signal
            await asyncio.sleep(0.05)


async def committed(world, events):
    """Wait until `events` events of partition 0 are done with: the checkpoint is written last."""
    last = str(events - 1)
    async with asyncio.timeout(PATIENCE_S):
        while last not in {one.get("sequencenumber") for one in (await checkpoints(world)).values()}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def reopened(cause):
    """Return how often a partition was given up for this cause since the test began."""
    labels = {"hub": "telemetry", "cause": cause}
    now = REGISTRY.get_sample_value("fleetprice_ingest_reopened_partitions_total", labels) or 0.0
    return now - at_the_start.get(cause, 0.0)


at_the_start = {}


@pytest.fixture(autouse=True)
def _count_from_here():
    at_the_start.clear()
    at_the_start.update({cause: reopened(cause) for cause in ("lake", "refused")})


async def test_a_full_disk_is_waited_for(world, lake, monkeypatch):
    """While storage accepts no files ingest is not ready; afterwards it continues by itself."""
    monkeypatch.setattr(commit, "MAX_ATTEMPTS", 1)
    port = free_port(set())
    full = world.storage.faults.inject(
        Fault("fail", "append", "lake/", status=500, code="InternalError", times="always")
    )
    async with ingesting(world, metrics_port=port):
        await send(world, readings(1, 101))
        await until(lambda: reopened("lake"))
        assert await readiness(port) == 503
        full.disarm()
        await until(lambda: len(lake.keys()) == 100)
        await becomes_ready(port)

    assert_once(lake, 100)


REFUSED = Fault("fail", path_prefix="lake/", status=403, code="AuthenticationFailed", times="always")


async def test_storage_that_refuses_for_a_while_costs_nothing(world, lake):
    """If a role is revoked and granted again within the grace, ingest is not ready, then continues."""
    port = free_port(set())
    async with ingesting(world, metrics_port=port, refusal_grace_s=NEVER_S):
        await send(world, readings(1, 51))
        await committed(world, 50)
        with world.storage.faults.inject(REFUSED):
            await send(world, readings(51, 101))
            await until(lambda: reopened("refused"))
            assert await readiness(port) == 503
        await until(lambda: len(lake.keys()) == 100)
        await becomes_ready(port)

    assert_once(lake, 100)


async def test_storage_that_goes_on_refusing_ends_ingest(world, lake):
    """A storage key that was rotated for good: exit code 2, and the setting to change."""
    with pytest.raises(SettingsError, match="FLEETPRICE_STORAGE"):  # noqa: PT012 - its own end is what raises
        async with ingesting(world, refusal_grace_s=0.5) as running:
            await send(world, readings(1, 51))
            await committed(world, 50)
            world.storage.faults.inject(REFUSED)
            await send(world, readings(51, 101))
            await running.ended()

    assert_once(lake, 50)


async def test_a_chain_of_a_newer_layout_is_left_alone(world, lake):
    """A raw zone that a later release laid out otherwise: exit code 2, nothing written into it."""
    root = {
        "created_at": "2026-01-01T00:00:00Z",
        "first": 0,
        "folder": "date=2026-01-01/hour=00",
        "layout": 2,
    }
    async with open_lake(world.lake_connection) as client:
        await client.write("raw/telemetry/_chain/p00.json", json.dumps(root).encode())
    await send(world, readings(1, 11))
    with pytest.raises(NeedsAttention, match="layout 2"):
        async with ingesting(world) as running:
            await running.ended()

    assert not lake.files()
