"""Column statistics in the Delta log."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from services.compaction.statistics import encode_statistics, indexed_columns

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("vehicle_id", pa.string()), ("reading_at", TIMESTAMP), ("sequence_number", pa.int64())])


def metadata_of(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return pq.read_metadata(io.BytesIO(sink.getvalue()))


def at(second, microsecond=0):
    return datetime(2026, 3, 1, 12, 0, second, microsecond, tzinfo=UTC)


def statistics_of(timestamps, numbers, **options):
    table = pa.table([["v"] * len(numbers), timestamps, numbers], schema=SCHEMA)
    return json.loads(encode_statistics(metadata_of(table, **options)))


def test_timestamps_and_positions_have_bounds():
    """A reader of a time or an event skips the other files; other columns have no statistics."""
    assert indexed_columns(SCHEMA) == ["reading_at", "sequence_number"]


def test_bounds_hold_every_row():
    """Bounds are rounded to the log's milliseconds: the lower one down, the upper one up."""
    statistics = statistics_of([at(1, 1_999), at(5, 1_001), at(3)], [7, 5, 6], row_group_size=1)
    assert statistics == {
        "numRecords": 3,
        "minValues": {"reading_at": "2026-03-01T12:00:01.001Z", "sequence_number": 5},
        "maxValues": {"reading_at": "2026-03-01T12:00:05.002Z", "sequence_number": 7},
        "nullCount": {"reading_at": 0, "sequence_number": 0},
    }


def test_nulls_are_counted_and_have_no_bounds():
    """A row group of nulls does not change the bounds of the others; a column of nulls has none."""
    statistics = statistics_of([None, at(2)], [1, 2], row_group_size=1)
    assert statistics["nullCount"]["reading_at"] == 1
    assert statistics["minValues"]["reading_at"] == "2026-03-01T12:00:02.000Z"
    assert "reading_at" not in statistics_of([None], [1])["minValues"]


def test_unknown_bounds_are_left_out():
    """A file without statistics gets no bounds, so that readers do not skip it."""
    statistics = statistics_of([at(1)], [1], write_statistics=False)
    assert statistics == {"numRecords": 1, "minValues": {}, "maxValues": {}, "nullCount": {}}
