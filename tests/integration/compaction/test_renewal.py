"""Tables that an earlier release wrote become tables that every reader takes."""

import asyncio
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from services.cli.verify.compacted import find_compacted_faults
from services.compaction.delta_table import StreamTable
from services.compaction.file_groups import table_folder
from services.compaction.renewal import renew_files
from services.compaction.storage_options import storage_options
from tests.support.compacting import NOON, STREAM, Chain

OLD = {
    "sequence_number": "DELTA_BINARY_PACKED",
    "odometer_km": "BYTE_STREAM_SPLIT",
    "offset": "DELTA_BYTE_ARRAY",
}
NEW = {"PLAIN", "RLE", "RLE_DICTIONARY"}


def encode_as_before(data):
    """Return the file as an earlier release wrote it."""
    table, sink = pq.read_table(pa.BufferReader(data)), pa.BufferOutputStream()
    others = [name for name in table.column_names if name not in OLD]
    pq.write_table(table, sink, compression="zstd", use_dictionary=others, column_encoding=OLD)
    return sink.getvalue().to_pybytes()


@pytest.fixture
async def old_table(lake, compact, compacted):
    """A table of two partitions and two hours, its files and its log as an earlier release wrote them."""
    for partition in range(2):
        chain = await Chain(lake, partition).begin()
        await chain.land(10, NOON + 1)
        await chain.land(10)
    await compact()
    table = compacted.table().sort_by([("partition", "ascending"), ("sequence_number", "ascending")])
    for path in compacted.files():
        data = await lake.read(f"{table_folder(STREAM)}/{path}")
        await lake.write(f"{table_folder(STREAM)}/{path}", encode_as_before(data))
    async for file in lake.list(f"{table_folder(STREAM)}/_delta_log"):
        actions = map(json.loads, (await lake.read(file.path)).splitlines())
        kept = [one for one in actions if "encodings" not in one.get("txn", {}).get("appId", "")]
        for added in (one["add"] for one in kept if "add" in one):
            added["size"] = (compacted.folder / added["path"]).stat().st_size
        await lake.write(file.path, "\n".join(map(json.dumps, kept)).encode())
    return table


def encodings_of(path):
    metadata = pq.read_metadata(path)
    return {
        one for index in range(metadata.num_columns) for one in metadata.row_group(0).column(index).encodings
    }


def encodings_of_table(compacted):
    return set().union(*map(encodings_of, compacted.delta().file_uris()))


async def test_files_of_an_earlier_release_are_written_again(lake, compact, compacted, old_table):
    """The next pass replaces every file by one with the same rows and footer that all readers take."""
    assert not encodings_of_table(compacted) <= NEW
    before = compacted.delta()
    footers = Counter(frozenset(pq.read_metadata(path).metadata.items()) for path in before.file_uris())
    await compact()
    assert encodings_of_table(compacted) <= NEW
    table = compacted.table().sort_by([("partition", "ascending"), ("sequence_number", "ascending")])
    assert table == old_table
    after = compacted.delta()
    assert footers == Counter(
        frozenset(pq.read_metadata(path).metadata.items()) for path in after.file_uris()
    )
    assert len(after.file_uris()) == 4
    assert await find_compacted_faults(lake) == []


async def test_it_is_done_once(compact, compacted, old_table):
    """Further passes change nothing, and a vacuum removes the files that were replaced."""
    await compact()
    version = compacted.delta().version()
    await compact()
    assert compacted.delta().version() == version
    compacted.delta().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(compacted.files()) == 4
    assert compacted.places() == compacted.raw_places()


async def test_a_new_table_needs_none(lake, compact, compacted):
    """The first commit of a new table records that no file of it has to be written again."""
    await (await Chain(lake).begin()).land(10)
    await compact()
    assert compacted.delta().version() == 1  # created, and filled


async def test_a_crash_before_the_commit_costs_nothing(lake, compact, compacted, old_table):
    """A file that was written and not committed is used by the next pass."""
    paths = compacted.files()
    await compact()
    async for file in lake.list(f"{table_folder(STREAM)}/_delta_log"):
        if file.path.endswith("2.json"):
            await lake.delete(file.path)
    assert not encodings_of_table(compacted) <= NEW
    written = {name: (compacted.folder / name).stat().st_mtime_ns for name in compacted.files()}
    await compact()
    assert encodings_of_table(compacted) <= NEW
    assert written == {name: (compacted.folder / name).stat().st_mtime_ns for name in compacted.files()}
    assert set(paths) < set(written)
    assert compacted.places() == compacted.raw_places()


CHANGES = {
    "optimize": lambda table: table.optimize.compact(),
    "delete": lambda table: table.delete("sequence_number = 3"),
}


@pytest.mark.parametrize("change", ["optimize", "delete", "renew"])
async def test_it_never_doubles_what_another_changed_meanwhile(storage, lake, compacted, old_table, change):
    """Files that an OPTIMIZE, a DELETE or another compaction replaced in between are left alone."""
    options = storage_options(storage.connection_string, None)
    uri = f"az://lake/{table_folder(STREAM)}"

    async def read_options():
        return options

    table, other = (StreamTable(STREAM, uri, read_options) for _ in range(2))
    await table.open()
    await other.open()
    if change == "renew":
        await renew_files(lake, STREAM, other)
    else:
        changed = await asyncio.to_thread(DeltaTable, uri, storage_options=options)
        await asyncio.to_thread(CHANGES[change], changed)
    await renew_files(lake, STREAM, table)
    gone = {(partition, 3): 1 for partition in range(2)} if change == "delete" else {}
    assert compacted.places() == compacted.raw_places() - Counter(gone)
    assert encodings_of_table(compacted) <= NEW
    assert await table.is_renewed()


@pytest.mark.parametrize("change", ["optimize", "delete"])
async def test_a_change_that_began_before_is_refused(storage, compact, compacted, old_table, change):
    """An OPTIMIZE or DELETE that read the table before and commits after it fails, and doubles no row."""
    options = storage_options(storage.connection_string, None)
    table = await asyncio.to_thread(DeltaTable, f"az://lake/{table_folder(STREAM)}", storage_options=options)
    await compact()
    with pytest.raises(CommitFailedError):
        await asyncio.to_thread(CHANGES[change], table)
    assert compacted.places() == compacted.raw_places()


async def test_a_damaged_file_stops_no_other(lake, compact, compacted, old_table):
    """A file that cannot be read stays as it is and is named; the others are written again."""
    damaged = compacted.files()[0]
    await lake.write(f"{table_folder(STREAM)}/{damaged}", b"no Parquet")
    outcome = await compact()
    assert len(outcome["refused"]) == 1
    assert damaged in outcome["refused"][0]
    sound = [path for path in compacted.delta().file_uris() if not path.endswith(damaged)]
    assert set().union(*map(encodings_of, sound)) <= NEW
