from datetime import UTC, datetime

import msgspec
import pytest

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.codec.row_buffer import EventOrigin, RowBuffer
from shared.contract.columns import READING
from shared.contract.reading import Reading


def reading(number):
    return Reading(
        vehicle_id="v",
        reading_no=number,
        reading_at=datetime(2026, 5, 1, tzinfo=UTC),
        make="ford",
        model="Ka",
        year=2010,
    )


def json_body(number):
    return msgspec.json.encode(reading(number)), JSON


def arrow_body(number):
    batch = build_batch(READING, [reading(number), reading(number + 1)], [None, None])
    return write_stream(batch.select(READING.schema.names)), ARROW


@pytest.fixture
def buffer():
    """JSON, Arrow and JSON again: numbers 1, 2 and 3, 4."""
    decoder = BodyDecoder(READING)
    buffer = RowBuffer(READING, 3)
    for sequence, body in enumerate([json_body(1), arrow_body(2), json_body(4)], start=7):
        buffer.add(decoder.decode(*body), EventOrigin(3, sequence, f"@{sequence}", 1_000 * sequence))
    return buffer


def test_rows_keep_their_order_and_lineage(buffer):
    """Every raw row names the partition, event and line it came from, in the order of the hub."""
    table = buffer.table()
    assert table.schema == READING.raw_schema
    assert table["reading_no"].to_pylist() == [1, 2, 3, 4]
    lineage = table.select(["partition", "sequence_number", "offset", "line"]).to_pylist()
    assert [tuple(row.values()) for row in lineage] == [
        (3, 7, "@7", 0),
        (3, 8, "@8", 0),
        (3, 8, "@8", 1),
        (3, 9, "@9", 0),
    ]
    assert buffer.rows == 4
