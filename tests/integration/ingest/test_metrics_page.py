"""Ingest's metrics as Prometheus reads them."""

import re

import aiohttp

from shared.service.metrics import merge_metrics
from tests.support.ingesting import body_event, ingest_process, json_event, send
from tests.support.processes import read_log_event
from tests.support.promtool import assert_promtool_passes

PARTITIONS = 4


async def page_of(http, port):
    async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return await answer.text()


async def test_a_partition_that_moved_is_told_of_by_its_owner_alone(world):
    """Once another process owns a partition, its former owner's page has no progress of it."""
    async with ingest_process(world) as first, aiohttp.ClientSession() as http:
        port = (await read_log_event(first, "ingest_started"))["metrics_port"]
        for _ in range(PARTITIONS):
            await read_log_event(first, "partition_opened")
        async with ingest_process(world) as second:
            moved = (await read_log_event(first, "partition_closed"))["partition"]
            page = await page_of(http, port)
            for running in (first, second):
                running.terminate()
                await running.communicate()

    told = re.findall(r'^fleetprice_streams_next_sequence_number{.*partition="(\d)"}', page, re.MULTILINE)
    assert told
    assert str(moved) not in told


async def test_promtool_finds_no_fault(world):
    """Prometheus's own check accepts ingest's metrics, of one process and of all workers."""
    await send(world, [json_event(1, 1), body_event(b"?")])
    async with ingest_process(world) as running, aiohttp.ClientSession() as http:
        port = (await read_log_event(running, "ingest_started"))["metrics_port"]
        await read_log_event(running, "file_committed")
        page = await page_of(http, port)
        running.terminate()
        await running.communicate()

    for name in ("fleetprice_ingest_dead_letters_total{", "fleetprice_ingest_commit_seconds_bucket{"):
        assert name in page
    await assert_promtool_passes(page.encode())
    await assert_promtool_passes(merge_metrics({"0": page, "1": page}, "worker"))
