"""What the pages say about reading the lake, run as written over files of two versions of a contract."""

import asyncio
from datetime import date

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from services.compaction.storage_options import storage_options
from shared.codec.body_decoder import BadLine
from shared.codec.row_buffer import DeadLetter, EventOrigin
from shared.lake.dead_letters import encode_letters
from tests.support.compacting import NOON, STREAM, Chain
from tests.support.documented import blocks

READINGS, LETTERS = "Reading it", "Dead letters"
HOURS = {0, 12, 13}


@pytest.fixture
async def two_versions(lake, compacted, monkeypatch):
    """Hours and partitions of two versions, one of them older first and one newer first."""
    (old, new) = [await Chain(lake, partition).begin() for partition in range(2)]
    await old.land(10, NOON + 1)
    await old.land(0, NOON + 12)  # a turn: the next event is of the first hour of tomorrow
    await old.land(10, version=2)
    await new.land(10, NOON + 1, version=2)
    await new.land(10)
    monkeypatch.chdir(compacted.root.parent)


def assert_whole(rows):
    """Assert that no row and no column of either version is missing, and that folders have their types."""
    assert rows.num_rows == 40
    assert rows["tyre_wear_pct"].null_count == 20
    assert set(rows["hour"].to_pylist()) == HOURS
    assert set(rows["date"].to_pylist()) == {date(2026, 3, 1), date(2026, 3, 2)}
    assert pa.types.is_integer(rows.schema.field("hour").type)


def run(program):
    """Run a program as a file of its own; return its names."""
    names = {}
    exec(program, names)
    return names


async def test_duckdb(two_versions):
    """The view has one row a reading, of both versions."""
    (program,) = blocks("lake.md", READINGS, "sql")
    with duckdb.connect() as connection:
        connection.execute(program)
        assert_whole(connection.sql("FROM readings").to_arrow_table())


async def test_pyarrow(two_versions):
    """The dataset has the columns of both versions."""
    program, _, _ = blocks("lake.md", READINGS, "python")
    assert_whole(run(program)["rows"])


async def test_polars(two_versions):
    """The frame has the columns of both versions, and one row a reading."""
    _, program, _ = blocks("lake.md", READINGS, "python")
    names = run(program)
    assert_whole(names["rows"].collect().to_arrow())
    assert_whole(names["one_a_reading"].collect().to_arrow())


async def test_the_table(storage, two_versions, compact):
    """The Delta table's readers see the columns of both versions."""
    await compact()
    program, *_ = blocks("compaction.md", READINGS, "python")
    program = program.replace('options = {"account_name": "…", "account_key": "…"}', "")
    named = storage_options(storage.connection_string, None)
    options = {name: named[name] for name in ("account_name", "account_key", "endpoint", "allow_http")}
    names = {"options": options, "day": date(2026, 3, 1)}
    await asyncio.to_thread(exec, program, names)
    assert_whole(await asyncio.to_thread(names["rows"].to_table))
    today = await asyncio.to_thread(names["today"].collect)
    assert (today.height, today["tyre_wear_pct"].null_count()) == (30, 20)
    assert today["date"].dtype == pl.Date


def read_letters():
    (program,) = blocks("lake.md", LETTERS, "sql")
    with duckdb.connect() as connection:
        return connection.execute(program).fetchall()


async def test_letters_where_there_are_none(two_versions):
    """The query for dead letters returns no row, and no error, in a lake without any."""
    assert await asyncio.to_thread(read_letters) == []


async def test_letters_that_count(two_versions, lake):
    """The query returns the letters that a footer names, and none that a broken-off commit left."""
    chain = await Chain(lake, 2).begin()
    origin = EventOrigin(2, 7, "99", 1_700_000_000_000_000)
    letter = DeadLetter(origin, "application/json", BadLine(1, "malformed: x", b"{"))
    for attempt in ("a", "b"):
        await lake.write_pieces(chain.key.dead_letters(0, attempt), encode_letters(STREAM, [letter]))
    chain.dead_letter = chain.key.dead_letters(0, "a")
    await chain.land(8)
    ((stream, partition, sequence_number, *_, reason, _, body),) = await asyncio.to_thread(read_letters)
    assert (stream, partition, sequence_number) == (STREAM, 2, 7)
    assert (reason, body) == ("malformed: x", "ew==")
