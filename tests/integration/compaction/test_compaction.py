"""One pass over a raw zone, in real storage."""

import asyncio
from collections import Counter

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from services.compaction.storage_options import storage_options
from shared.service.errors import SettingsError
from tests.support.compacting import NOON, STREAM, Chain

FIRST = "date=2026-03-01/hour=12/p00-00000000000000000000.parquet"


async def test_small_files_become_one(lake, compact, compacted):
    """An hour of small files becomes one file, and the table has each of their rows once, in order."""
    chain = await Chain(lake).begin()
    for _ in range(5):
        await chain.land(20)
    before = compacted.raw_bytes()
    await compact()
    assert compacted.files() == [FIRST]
    assert compacted.table()["sequence_number"].to_pylist() == list(range(100))
    assert compacted.raw_bytes() == before


async def test_a_pass_without_new_files_changes_nothing(lake, compact, compacted):
    """A second pass over the same raw files writes no file and no version of the table."""
    chain = await Chain(lake).begin()
    await chain.land(20)
    await compact()
    files, version = compacted.files(), compacted.delta().version()
    await compact()
    assert (compacted.files(), compacted.delta().version()) == (files, version)


async def test_the_chain_is_followed_through_its_turns(lake, compact, compacted):
    """Files without rows, gaps by the hub's retention and hours without events lose no row."""
    chain = await Chain(lake).begin()
    await chain.land(10, NOON + 1)
    await chain.land(0, gap=7)
    await chain.land(0, NOON + 30)  # a turn: the next event is of tomorrow
    await compact()
    await chain.land(5)
    await chain.land(0, NOON + 31)
    await chain.land(0, NOON + 60)
    await compact()
    await chain.land(3)
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.places().total() == 18


async def test_an_open_hour_waits(lake, compact, compacted):
    """An hour that may still grow waits while its newest file is young; a closed hour does not."""
    chain = await Chain(lake).begin()
    await chain.land(10, NOON + 1)
    await chain.land(10)
    outcome = await compact(older_than_s=3_600)
    assert compacted.files() == [FIRST]
    assert (outcome["raw_files"], outcome["waiting_files"]) == (1, 1)
    outcome = await compact(older_than_s=0)
    assert (outcome["raw_files"], outcome["waiting_files"]) == (1, 0)
    assert compacted.places() == compacted.raw_places()


async def test_files_close_at_their_size(lake, compact, compacted):
    """A busy hour becomes several files, each closed at the target size."""
    chain = await Chain(lake).begin()
    sizes = {(compacted.root / await chain.land(50)).stat().st_size for _ in range(6)}
    outcome = await compact(target_bytes=2 * min(sizes))
    assert len(compacted.files()) == outcome["files"] == 3
    assert compacted.places() == compacted.raw_places()


async def test_two_versions_of_a_contract_make_one_file(lake, compact, compacted):
    """Interleaved versions make no extra files; a column that older rows lack is null in them."""
    chain = await Chain(lake).begin()
    await chain.land(5)
    await compact()
    for version in (1, 2, 1, 2):
        await chain.land(5, version=version)
    await compact()
    assert len(compacted.files()) == 2
    assert compacted.table()["tyre_wear_pct"].null_count == 15
    assert compacted.places() == compacted.raw_places()


async def test_every_partition_and_every_hub_of_the_name(lake, compact, compacted):
    """All partitions are compacted, and the chains of a hub that was deleted and created again."""
    for partition in range(3):
        chain = await Chain(lake, partition).begin()
        await chain.land(10)
    again = await Chain(lake, generation=2, created_at="2026-03-02T00:00:00Z", hour=NOON + 20).begin()
    await again.land(10)
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.places().total() == 40


async def test_a_missing_raw_file_holds_up_its_chain_alone(lake, compact, compacted):
    """If the listing lacks a file, the files behind it wait for it; other chains go on."""
    whole, broken = await Chain(lake, 0).begin(), await Chain(lake, 1).begin()
    for chain in (whole, broken):
        await chain.land(10)
    away = compacted.root / await broken.land(10)
    await broken.land(10)
    bytes_away = away.read_bytes()
    away.unlink()
    await compact()
    assert compacted.places() == {**{(0, n): 1 for n in range(10)}, **{(1, n): 1 for n in range(10)}}
    away.write_bytes(bytes_away)
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert compacted.places().total() == 40


async def test_an_unknown_stream_is_refused(lake, compact):
    """A misspelt stream raises an error that lists the existing ones."""
    chain = await Chain(lake).begin()
    await chain.land(1)
    with pytest.raises(SettingsError, match=STREAM):
        await compact(stream="telemtry")


async def test_an_empty_lake_is_fine(lake, compact):
    """A pass over an empty lake does nothing."""
    assert await compact() is None


async def test_a_deleted_table_is_created_again(lake, compact, compacted):
    """Without its log the table is created again from the existing files, none of them rewritten."""
    chain = await Chain(lake).begin()
    await chain.land(10, NOON + 1)
    await chain.land(10)
    await compact()
    written = {name: (compacted.folder / name).stat().st_mtime_ns for name in compacted.files()}
    async for file in lake.list(f"compacted/{STREAM}/_delta_log"):
        await lake.delete(file.path)
    await compact()
    assert compacted.places() == compacted.raw_places()
    assert written == {name: (compacted.folder / name).stat().st_mtime_ns for name in compacted.files()}


def clean_up(connection_string):
    """Do what people do with a Delta table, through storage."""
    options = storage_options(connection_string, None)
    table = DeltaTable(f"az://lake/compacted/{STREAM}", storage_options=options)
    table.optimize.compact()
    table.delete("sequence_number = 3")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


async def test_people_may_optimize_and_clean_up_the_table(storage, lake, compact, compacted):
    """After OPTIMIZE, DELETE and VACUUM compaction continues where it was and restores no row."""
    chain = await Chain(lake).begin()
    for _ in range(3):
        await chain.land(10)
        await compact()
    await asyncio.to_thread(clean_up, storage.connection_string)
    assert not [name for name in compacted.files() if "/p00-" in name]
    await chain.land(10)
    await compact()
    assert compacted.places() == compacted.raw_places() - Counter({(0, 3): 1})


async def test_readers_of_deltas_tables_read_it(storage, lake, compact):
    """polars reads the table through storage, and skips files by hour and by time."""
    chain = await Chain(lake).begin()
    await chain.land(10, NOON + 1)
    await chain.land(5)
    await compact()
    named = storage_options(storage.connection_string, None)
    options = {name: named[name] for name in ("account_name", "account_key", "endpoint", "allow_http")}
    frame = pl.scan_delta(f"az://lake/compacted/{STREAM}", storage_options=options)
    read = await asyncio.to_thread(frame.filter(pl.col("hour") == 13).collect)
    assert read.height == 5


async def test_a_compacted_file_records_what_it_covers(lake, compact, compacted):
    """Its footer has the range and the number of its raw files, and the hub."""
    chain = await Chain(lake).begin()
    await chain.land(10)
    await chain.land(0, gap=5)
    await compact()
    metadata = pq.read_metadata(compacted.folder / FIRST).metadata
    names = ("first_seq", "last_seq", "next_first", "files", "rows", "gap")
    assert [int(metadata[name.encode()]) for name in names] == [0, 14, 15, 2, 10, 5]
