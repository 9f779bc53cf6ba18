"""Compactions that run at once, are killed, or wake up late."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.emulator.storage.faults import Fault
from shared.service.errors import SinkUnavailable
from tests.support.compacting import NOON, Chain, until

ROOT = Path(__file__).parents[3]
KILLED = -9
DELTA_LOG = "lake/compacted/telemetry/_delta_log/"


async def busy_hours(lake, partitions=2, hours=3, files=3):
    chains = [await Chain(lake, partition).begin() for partition in range(partitions)]
    for chain in chains:
        for hour in range(hours):
            for number in range(files):
                is_last = number == files - 1
                await chain.land(10, NOON + hour + 1 if is_last else None)
    return chains


async def run_process(storage, tmp_path, failpoints=""):
    """Run one pass in a process of its own; return its exit code."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FLEETPRICE_STORAGE": storage.connection_string,
        "FLEETPRICE_COMPACTION_OLDER_THAN_S": "0",
        "FLEETPRICE_LOG_LEVEL": "warning",
        "FLEETPRICE_FAILPOINTS": failpoints,
        "FLEETPRICE_FAILPOINTS_LOG": str(tmp_path / "kills"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.compaction", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.long
@pytest.mark.parametrize("failpoint", ["compaction_staged", "compaction_renamed", "compaction_committed"])
async def test_kill_anywhere(storage, lake, compacted, tmp_path, failpoint):
    """A kill -9 at any step leaves nothing half visible, and the next pass continues."""
    await busy_hours(lake, partitions=1, hours=2)
    assert await run_process(storage, tmp_path, f"{failpoint}=1*1") == KILLED
    if compacted.is_there():
        assert not compacted.places() - compacted.raw_places()
    assert await run_process(storage, tmp_path) == 0
    assert compacted.places() == compacted.raw_places()
    assert len(compacted.files()) == 2


async def test_two_at_once(lake, compact, compacted):
    """Two compactions at once write the same files and add each of them once."""
    await busy_hours(lake)
    await asyncio.gather(compact(), compact())
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.file_places() == compacted.raw_places()


async def test_two_that_group_differently(lake, compact, compacted):
    """Compactions with different target sizes cover each row once."""
    await busy_hours(lake)
    await asyncio.gather(compact(target_bytes=1_024), compact(), compact(target_bytes=30_000))
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.file_places() == compacted.raw_places()


@pytest.mark.parametrize(
    ("operation", "prefix"),
    [("rename", "lake/compacted/"), ("put_blob", "lake/compacted/telemetry/_delta_log/")],
)
async def test_one_that_wakes_late(storage, lake, compact, compacted, operation, prefix):
    """A compaction delayed before its rename, or before its commit, does no harm when it continues."""
    chains = await busy_hours(lake)
    with storage.faults.inject(Fault("slow", operation, prefix, delay_ms=1_500)) as armed:
        late = asyncio.create_task(compact())
        await until(lambda: armed.struck)
        await compact()
        await chains[0].land(10, NOON + 7)
        await compact()
        await late
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.file_places() == compacted.raw_places()


@pytest.mark.parametrize("kind", ["drop_answer", "fail"])
@pytest.mark.parametrize(
    ("operation", "prefix"),
    [("rename", "lake/compacted/"), ("put_blob", "lake/compacted/telemetry/_delta_log/")],
)
async def test_storage_that_does_not_answer(storage, lake, compact, compacted, kind, operation, prefix):
    """Lost responses and errors, of the rename and of the table's commit, neither lose nor double a row."""
    await busy_hours(lake)
    with storage.faults.inject(Fault(kind, operation, prefix, times=2)):
        for _ in range(3):
            try:
                await compact()
            except SinkUnavailable:
                continue
    assert compacted.places() == compacted.raw_places()
    assert compacted.file_places() == compacted.raw_places()
