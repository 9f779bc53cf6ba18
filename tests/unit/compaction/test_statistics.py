"""What the log says of a file's columns."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from services.compaction.statistics import encode_statistics, indexed_columns

INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("vehicle_id", pa.string()), ("reading_at", INSTANT), ("sequence_number", pa.int64())])


def metadata_of(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return pq.read_metadata(io.BytesIO(sink.getvalue()))


def at(second, microsecond=0):
    return datetime(2026, 3, 1, 12, 0, second, microsecond, tzinfo=UTC)


def said_of(instants, numbers, **options):
    table = pa.table([["v"] * len(numbers), instants, numbers], schema=SCHEMA)
    return json.loads(encode_statistics(metadata_of(table, **options)))


def test_instants_and_places_have_bounds():
    """A reader that wants a time or an event skips the other files; bounds of everything would be no gain."""
    assert indexed_columns(SCHEMA) == ["reading_at", "sequence_number"]


def test_bounds_hold_every_row():
    """The log's instants are milliseconds: the lower bound is rounded down, the upper one up."""
    said = said_of([at(1, 1_999), at(5, 1_001), at(3)], [7, 5, 6], row_group_size=1)
    assert said == {
        "numRecords": 3,
        "minValues": {"reading_at": "2026-03-01T12:00:01.001Z", "sequence_number": 5},
        "maxValues": {"reading_at": "2026-03-01T12:00:05.002Z", "sequence_number": 7},
        "nullCount": {"reading_at": 0, "sequence_number": 0},
    }


def test_nulls_are_counted_and_have_no_bounds():
    """A row group of nulls alone says nothing of the others' bounds; nothing but nulls has none."""
    said = said_of([None, at(2)], [1, 2], row_group_size=1)
    assert said["nullCount"]["reading_at"] == 1
    assert said["minValues"]["reading_at"] == "2026-03-01T12:00:02.000Z"
    assert "reading_at" not in said_of([None], [1])["minValues"]


def test_unknown_bounds_are_left_out():
    """A file whose writer kept no statistics is read, not skipped."""
    said = said_of([at(1)], [1], write_statistics=False)
    assert said == {"numRecords": 1, "minValues": {}, "maxValues": {}, "nullCount": {}}
