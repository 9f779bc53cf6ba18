"""Ingest as a process: its exit codes, its endpoints, its sweep."""

import aiohttp

from shared.lake.client import open_lake
from tests.support.ingesting import body_event, ingest_process, json_event, send, until
from tests.support.processes import read_log_event


async def test_ready_means_owning_and_committing(world, lake):
    """Not ready before it owns partitions, ready then; metrics show what landed; SIGTERM ends it with 0."""
    await send(world, [json_event(1, number) for number in range(1, 11)])
    async with ingest_process(world) as running, aiohttp.ClientSession() as http:
        port = (await read_log_event(running, "ingest_started"))["metrics_port"]
        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 503
        await read_log_event(running, "file_committed")
        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics = await answer.text()
        running.terminate()
        await running.communicate()

    assert running.returncode == 0
    assert 'fleetprice_ingest_landed_rows_total{hub="telemetry"} 10.0' in metrics
    assert 'fleetprice_streams_next_sequence_number{hub="telemetry",partition="0"} 10.0' in metrics


async def test_a_wrong_key_is_a_persons_business(world):
    """A key that the hub refuses ends ingest with code 2 and one line that names the setting."""
    wrong = world.hub.connection_string.replace("SAS_KEY_VALUE", "WRONG")
    async with ingest_process(world, FLEETPRICE_EVENT_HUBS=wrong) as running:
        _, errors = await running.communicate()

    assert running.returncode == 2
    last = errors.decode().splitlines()[-1]
    assert last.startswith("fleetprice: FLEETPRICE_EVENT_HUBS")


async def test_broken_off_commits_are_swept(world, lake):
    """The next start deletes a killed commit's staged file and dead letters, and keeps all that count."""
    await send(world, [json_event(1, 1), body_event(b"?")])
    async with ingest_process(world, FLEETPRICE_FAILPOINTS="ingest_staged=1*1") as running:
        await running.communicate()
    staging = lake.root / "_staging" / "raw" / "telemetry"
    letters = lake.root / "dead-letters" / "telemetry"
    (broken_off,) = letters.iterdir()
    assert len(list(staging.glob("p00-*"))) == 1
    unnamed = f"_staging/{0:032x}"
    async with open_lake(world.lake_connection) as files:
        await files.write(unnamed, b"of a name that was never claimed")

    async with ingest_process(world, FLEETPRICE_INGEST_STAGING_MAX_AGE_S="0") as running:
        await until(lake.keys)
        running.terminate()
        await running.communicate()

    assert not list(staging.glob("p00-*"))
    assert not broken_off.exists()
    assert not (lake.root / unnamed).exists()
    assert len(lake.letters()) == len(list(letters.iterdir())) == 1
    assert set(lake.keys().values()) == {1}
