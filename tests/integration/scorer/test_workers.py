"""`fleetprice score --workers 2`: two processes that share the partitions and HTTP's port."""

import asyncio
import os
import signal

import aiohttp

from tests.support.embedded_stack import PATIENCE_S
from tests.support.processes import environment_of, process, read_log_event

PARTITIONS = "0123"
READINGS = 400


def workers(world, count=2):
    """Run the parent as a process of its own."""
    counts = {"FLEETPRICE_SCORER_WORKERS": str(count), "FLEETPRICE_SCORER_HTTP_PORT": "0"}
    return process("services.scorer", environment_of(world, **counts))


async def ready(http, port):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_a_killed_worker_loses_and_doubles_nothing(world, fleet, published):
    """One of two is killed under load: every reading gets one price, and HTTP continues to answer."""
    async with workers(world) as running, aiohttp.ClientSession() as http:
        metrics_port = (await read_log_event(running, "workers_started"))["metrics_port"]
        victim = (await read_log_event(running, "worker_started"))["pid"]
        http_port = (await read_log_event(running, "http_listening"))["port"]
        assert (await read_log_event(running, "http_listening"))["port"] == http_port, (
            "both listen on the one port"
        )
        await ready(http, metrics_port)
        for partition in PARTITIONS:
            await fleet.send(fleet.singles(READINGS // 2, vehicle=f"v{partition}"), partition)
        await published.of("v0", 1)
        os.kill(victim, signal.SIGKILL)
        for partition in PARTITIONS:
            await fleet.send(fleet.singles(READINGS // 2, vehicle=f"v{partition}"), partition)
        assert (await read_log_event(running, "worker_ended"))["exit_code"] == -signal.SIGKILL
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
    assert 'fleetprice_scorer_sent_predictions_total{worker="0"}' in metrics
    assert 'fleetprice_scorer_sent_predictions_total{worker="1"}' in metrics


async def test_more_workers_than_partitions_are_refused(world):
    """A worker for which no partition is left would never be ready: the parent refuses to start any."""
    async with workers(world, count=5) as running:
        _, errors = await running.communicate()
    assert running.returncode == 2
    assert "FLEETPRICE_SCORER_WORKERS: hub telemetry has 4 partitions" in errors.decode()
