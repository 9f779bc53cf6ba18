"""`fleetprice score --workers 2`: two processes that share the partitions and HTTP's port."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from tests.conftest import PATIENCE_S

PARTITIONS = "0123"
READINGS = 400


@asynccontextmanager
async def workers(world, count=2, **variables):
    """The parent as a process of its own; killed at the end if it still runs."""
    env = {
        **os.environ,
        "FLEETPRICE_EVENT_HUBS": world.hub.connection_string,
        "FLEETPRICE_STORAGE": world.storage.connection_string,
        "FLEETPRICE_BALANCING_INTERVAL_S": "0.5",
        "FLEETPRICE_OWNERSHIP_EXPIRY_S": "2",
        "FLEETPRICE_SCORER_WORKERS": str(count),
        "FLEETPRICE_SCORER_HTTP_PORT": "0",
        "FLEETPRICE_LOG_FORMAT": "json",
        **variables,
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.scorer", env=env, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def logged(running, name):
    """The next log event of that name, of the parent or a worker."""
    while line := await running.stderr.readline():
        event = msgspec.json.decode(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"ended without {name}")


async def ready(http, port):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_a_killed_worker_loses_and_doubles_nothing(world, fleet, published):
    """One of two is killed amid the stream: every reading gets its one price, and HTTP goes on answering."""
    async with workers(world) as running, aiohttp.ClientSession() as http:
        metrics_port = (await logged(running, "workers_started"))["metrics_port"]
        victim = (await logged(running, "worker_started"))["pid"]
        http_port = (await logged(running, "http_listening"))["port"]
        assert (await logged(running, "http_listening"))["port"] == http_port, "both listen on the one port"
        await ready(http, metrics_port)
        for partition in PARTITIONS:
            await fleet.send(fleet.singles(READINGS // 2, vehicle=f"v{partition}"), partition)
        await published.of("v0", 1)
        os.kill(victim, signal.SIGKILL)
        for partition in PARTITIONS:
            await fleet.send(fleet.singles(READINGS // 2, vehicle=f"v{partition}"), partition)
        assert (await logged(running, "worker_ended"))["exit_code"] == -signal.SIGKILL
        for partition in PARTITIONS:
            predictions = await published.of(f"v{partition}", READINGS)
            assert [one.reading_no for one in predictions] == list(range(1, READINGS + 1))
        await ready(http, metrics_port)
        async with http.get(f"http://127.0.0.1:{http_port}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
            metrics = await answer.text()
        running.terminate()
        await running.communicate()
    assert running.returncode == 0
    assert 'fleetprice_predictions_sent_total{worker="0"}' in metrics
    assert 'fleetprice_predictions_sent_total{worker="1"}' in metrics


async def test_more_workers_than_partitions_are_refused(world):
    """A worker for which no partition is left would never be ready: the parent refuses to start any."""
    async with workers(world, count=5) as running:
        _, errors = await running.communicate()
    assert running.returncode == 2
    assert "FLEETPRICE_SCORER_WORKERS: hub telemetry has 4 partitions" in errors.decode()
