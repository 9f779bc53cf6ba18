"""Compaction beside ingest and readers, and beside writers that wake up late."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from services.compaction.__main__ import run_pass
from services.compaction.settings import CompactionSettings
from shared.lake.client import LakeConnection, open_lake
from tests.support.compacting import NOON, Chain, Compacted, until
from tests.support.ingesting import ingesting, json_event, sending

EVENTS, BATCH, PARTITIONS = 600, 40, 2


@pytest.fixture
def lake_on_disk(world):
    return Compacted(world.data_dir)


class Reader:
    """A reader that reads the table again and again; `faults` are what no reader should see."""

    def __init__(self, folder):
        self._folder = str(folder)
        self.reads = 0
        self.faults = []

    async def watch(self, stop):
        last_count = 0
        while not stop.is_set():
            rows = await asyncio.to_thread(self._read)
            if rows is None:
                await asyncio.sleep(0.02)
                continue
            self.reads += 1
            if len(rows) != len(set(rows)):
                self.faults.append("a row stands twice")
            if len(rows) < last_count:
                self.faults.append("rows disappeared")
            last_count = len(rows)
            for partition in {partition for partition, _ in rows}:
                sequences = sorted(sequence for of, sequence in rows if of == partition)
                if sequences != list(range(len(sequences))):
                    self.faults.append(f"partition {partition} has a hole")

    def _read(self):
        try:
            table = DeltaTable(self._folder).to_pyarrow_table(columns=["partition", "sequence_number"])
        except DeltaError:  # there is none yet
            return None
        return list(zip(table["partition"].to_pylist(), table["sequence_number"].to_pylist(), strict=True))


@asynccontextmanager
async def watching(reader):
    stop = asyncio.Event()
    task = asyncio.create_task(reader.watch(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def test_beside_ingest_and_a_reader(world, lake_on_disk):
    """While ingest lands and two compactions run, a reader of the table sees each row once and no hole."""
    settings = world.settings(CompactionSettings, older_than_s=0)
    reader = Reader(lake_on_disk.folder)
    async with (
        open_lake(LakeConnection.from_settings(settings)) as lake,
        watching(reader),
        ingesting(world, roll_max_rows=50),
    ):
        async with sending(world) as send:
            for first in range(0, EVENTS, BATCH):
                for partition in range(PARTITIONS):
                    events = [json_event(partition, number + 1) for number in range(first, first + BATCH)]
                    await send(events, str(partition))
                await asyncio.gather(run_pass(settings, lake), run_pass(settings, lake))
        await until(lambda: lake_on_disk.raw_places().total() == EVENTS * PARTITIONS)
        await run_pass(settings, lake)
        await until(lambda: reader.reads > 1)
    assert reader.faults == []
    assert lake_on_disk.places() == lake_on_disk.raw_places()
    assert lake_on_disk.file_places() == lake_on_disk.raw_places()
    assert set(lake_on_disk.places().values()) == {1}


async def test_a_writer_that_wakes_after_compaction(lake, compact, compacted):
    """A writer that slept before its rename adds nothing once others' files of its range are compacted."""
    chain = await Chain(lake).begin()
    await chain.land(10)
    slot, staged = chain.key.slot(chain.hour, 10), chain.key.staged(chain.hour, 10, "zombie")
    await lake.write(staged, chain.encoded(15))
    await chain.land(10)
    await chain.land(10, NOON + 2)
    await compact()
    assert not await lake.rename_if_absent(staged, slot)
    await chain.land(10)
    await compact()
    assert compacted.places() == compacted.raw_places() == {(0, number): 1 for number in range(40)}


async def test_a_writer_that_wakes_before_compaction(lake, compact, compacted):
    """If a late writer is first in its slot after all, its file joins the chain and is compacted once."""
    chain = await Chain(lake).begin()
    await chain.land(10)
    staged, data = chain.key.staged(chain.hour, 10, "zombie"), chain.encoded(15)
    await lake.write(staged, data)
    await compact()
    assert await lake.rename_if_absent(staged, chain.key.slot(chain.hour, 10))
    chain.next_first = 25
    await chain.land(10, NOON + 2)
    await compact()
    assert compacted.places() == compacted.raw_places() == {(0, number): 1 for number in range(35)}
