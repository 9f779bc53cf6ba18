"""The verification of the Delta tables: it finds missing and doubled rows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from services.cli.verify.compacted import find_compacted_faults
from shared.contract.columns import LINEAGE
from shared.lake.parquet import encode
from shared.lake.slots.footer import Footer

FOLDER = "date=2026-03-01/hour=12"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPTIONS = ("account_name", "account_key", "endpoint", "allow_http")


def rows(numbers):
    """Raw rows of partition 0, one an event."""
    count = len(numbers)
    columns = [[0] * count, numbers, [str(number) for number in numbers], [0] * count, [AT] * count]
    return pa.table(
        [pa.array(column, one.type) for column, one in zip(columns, LINEAGE, strict=True)], LINEAGE
    )


async def land(lake, first, count):
    following = first + count
    footer = Footer(
        first, following - 1, "0", following, FOLDER, count, 0, 0, "a", "", 1, "2026-03-01T00:00:00Z"
    )
    data = encode(rows(list(range(first, following))), footer)
    await lake.write(f"raw/telemetry/{FOLDER}/p00-{first:020d}.parquet", data)


@pytest.fixture
def table(storage):
    """Add rows to the table, and advance the chain's position."""
    parts = dict(part.split("=", 1) for part in storage.connection_string.split(";") if part)
    values = (parts["AccountName"], parts["AccountKey"], parts["BlobEndpoint"], "true")
    options = dict(zip(OPTIONS, values, strict=True))
    uri = "az://lake/compacted/telemetry"

    def write(added, position):
        moved = CommitProperties(
            app_transactions=[Transaction("fleetprice-compaction/telemetry/p00", position)]
        )
        write_deltalake(uri, added, mode="append", storage_options=options, commit_properties=moved)

    def add(numbers, position):
        write(rows(numbers), position)

    def checkpoint():
        DeltaTable(uri, storage_options=options).create_checkpoint()

    add.write, add.checkpoint = write, checkpoint
    return add


async def test_a_lake_without_tables_has_no_faults(lake):
    """Without compaction nothing is reported of tables."""
    await land(lake, 0, 10)
    assert await find_compacted_faults(lake) == []


async def test_a_table_that_covers_a_part_is_whole(lake, table):
    """Rows that are not compacted yet are not missing, with a checkpoint of the log or without."""
    await land(lake, 0, 10)
    await land(lake, 10, 10)
    await asyncio.to_thread(table, list(range(5)), 5)
    await asyncio.to_thread(table.checkpoint)
    await asyncio.to_thread(table, list(range(5, 10)), 10)
    assert await find_compacted_faults(lake) == []


@pytest.mark.parametrize(
    ("column", "value"), [("offset", "none"), ("enqueued_at", AT + timedelta(microseconds=1))]
)
async def test_a_changed_value_shows(lake, table, column, value):
    """A value of the table that is not the raw file's is found, and its column is named."""
    await land(lake, 0, 10)
    await asyncio.to_thread(table, list(range(4)), 4)
    changed = rows(list(range(4, 10)))
    place, kind = changed.schema.get_field_index(column), changed.schema.field(column)
    values = changed[column].to_pylist()
    values[3] = value
    changed = changed.set_column(place, kind, pa.array(values, kind.type))
    await asyncio.to_thread(table.write, changed, 10)
    assert await find_compacted_faults(lake) == [
        f"compacted/telemetry has other values of {column} than the raw files of partition 0"
    ]


async def test_a_missing_row_shows(lake, table):
    """Rows that the table lacks are counted, and the first one's event is named."""
    await land(lake, 0, 10)
    await asyncio.to_thread(table, [0, 1, 2, 4, 5, 7, 8, 9], 10)
    assert await find_compacted_faults(lake) == [
        "compacted/telemetry lacks 2 rows of partition 0, the first of event 3"
    ]


async def test_a_doubled_row_shows(lake, table):
    """A row that is there twice is counted."""
    await land(lake, 0, 10)
    await asyncio.to_thread(table, [*range(10), 6], 10)
    assert await find_compacted_faults(lake) == [
        "compacted/telemetry has 1 rows too many of partition 0, the first of event 6"
    ]


async def test_a_file_that_is_gone_shows(lake, table):
    """A file that the log names and the storage does not have is named, and its rows are counted."""
    await land(lake, 0, 10)
    await asyncio.to_thread(table, list(range(10)), 10)
    (path,) = [file.path async for file in lake.list("compacted/telemetry") if file.path.endswith(".parquet")]
    await lake.delete(path)
    unreadable, lacking = await find_compacted_faults(lake)
    assert path in unreadable
    assert "lacks 10 rows" in lacking


async def test_a_damaged_checkpoint_is_named(lake, table):
    """A log that cannot be read is a fault of its table, and does not end the verification."""
    await land(lake, 0, 10)
    await asyncio.to_thread(table, list(range(10)), 10)
    await asyncio.to_thread(table.checkpoint)
    log = "compacted/telemetry/_delta_log"
    (path,) = [file.path async for file in lake.list(log) if file.path.endswith(".checkpoint.parquet")]
    await lake.write(path, b"PAR1 and nothing else PAR1")
    (fault,) = await find_compacted_faults(lake)
    assert "the log of compacted/telemetry cannot be read" in fault
