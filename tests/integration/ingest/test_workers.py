"""`fleetprice ingest --workers 2`: two processes that share the partitions, behind one port."""

import asyncio
import os
import signal

import aiohttp

from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import ingest_process, json_event, sending, until
from tests.support.processes import read_log_event

PARTITIONS = 4


async def test_a_killed_worker_loses_and_doubles_nothing(world, lake):
    """One of two workers is killed under load: it is started again, and every reading lands once."""
    events = {(f"v{partition}", number) for partition in range(PARTITIONS) for number in range(1, 401)}

    async def send_part(first, last):
        for partition in range(PARTITIONS):
            await send_now([json_event(partition, n) for n in range(first, last)], str(partition))

    async with ingest_process(world, FLEETPRICE_INGEST_WORKERS="2") as running, sending(world) as send_now:
        victim = (await read_log_event(running, "worker_started"))["pid"]
        await send_part(1, 201)
        await read_log_event(running, "file_committed")
        os.kill(victim, signal.SIGKILL)
        await send_part(201, 401)
        assert (await read_log_event(running, "worker_ended"))["exit_code"] == -signal.SIGKILL
        await read_log_event(running, "worker_started")
        await until(lambda: len(lake.keys()) == len(events))
        running.terminate()
        await running.communicate()

    assert running.returncode == 0
    assert set(lake.keys()) == events
    assert set(lake.keys().values()) == {1}


async def test_the_metrics_and_readiness_of_all_workers_on_one_port(world, lake):
    """One port shows what each worker landed, and is ready once every worker is."""
    async with ingest_process(world, FLEETPRICE_INGEST_WORKERS="2") as running, sending(world) as send_now:
        port = (await read_log_event(running, "workers_started"))["metrics_port"]
        for partition in range(PARTITIONS):
            await send_now([json_event(partition, number) for number in range(1, 6)], str(partition))
        async with aiohttp.ClientSession() as http:

            async def is_ready():
                async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    return answer.status == 200

            async with asyncio.timeout(PATIENCE_S):
                while not await is_ready():  # noqa: ASYNC110 - a process sends no signal
                    await asyncio.sleep(0.05)
            await until(lambda: len(lake.keys()) == PARTITIONS * 5)
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                metrics = await answer.text()
        running.terminate()
        await running.communicate()

    assert running.returncode == 0
    assert 'fleetprice_ingest_landed_rows_total{hub="telemetry",worker="0"}' in metrics
    assert 'fleetprice_ingest_landed_rows_total{hub="telemetry",worker="1"}' in metrics


async def test_what_a_person_must_change_ends_all_workers(world):
    """A key that the hub refuses ends the parent with code 2, as it does a single process."""
    wrong = world.hub.connection_string.replace("SAS_KEY_VALUE", "WRONG")
    async with ingest_process(world, FLEETPRICE_INGEST_WORKERS="2", FLEETPRICE_EVENT_HUBS=wrong) as running:
        _, errors = await running.communicate()

    assert running.returncode == 2
    assert "fleetprice: FLEETPRICE_EVENT_HUBS" in errors.decode()


async def test_more_workers_than_partitions_are_refused(world):
    """A worker for which no partition is left would never be ready: the parent refuses to start any."""
    async with ingest_process(world, FLEETPRICE_INGEST_WORKERS="5") as running:
        _, errors = await running.communicate()

    assert running.returncode == 2
    assert "FLEETPRICE_INGEST_WORKERS: hub telemetry has 4 partitions" in errors.decode()
