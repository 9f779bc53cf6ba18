"""Columns built from chunks equal the columns that pyarrow builds from all values at once."""

from datetime import UTC, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.body_decoder import JSON, NDJSON
from shared.codec.fast_path.arrow_builders import build_array, builder_for
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.contract.columns import INSTANT, READING

INT32, INT64 = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (32, 64))
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]))
VALUES = [
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.int64(), INT64),
    (pa.int32(), INT32),
    (pa.string(), st.text() | st.sampled_from(["", "\0", "a\0b", "Škoda", "🚗"])),
    (INSTANT, TIMES),
    (pa.bool_(), st.booleans()),
    (pa.list_(pa.string()), st.lists(st.text(max_size=3), max_size=3)),
]
TYPED = st.sampled_from(VALUES).flatmap(
    lambda one: st.tuples(st.just(one[0]), st.lists(st.lists(one[1] | st.none(), min_size=1), min_size=1))
)


@given(TYPED)
def test_chunks_join_to_the_column_of_pyarrow(typed):
    """With nulls and without, in one chunk or many."""
    declared, chunks = typed
    values = [value for chunk in chunks for value in chunk]
    builder = builder_for(declared)
    column = builder.build([builder.pack(chunk) for chunk in chunks], len(values))
    column.validate(full=True)
    assert column.equals(pa.array(values, declared))


@given(TYPED)
def test_so_does_a_single_chunk(typed):
    """A batch of records is built from one chunk; a column without rows works too."""
    declared, chunks = typed
    column = build_array(chunks[0], declared)
    column.validate(full=True)
    assert column.equals(pa.array(chunks[0], declared))
    assert build_array([], declared).equals(pa.array([], declared))


@pytest.mark.parametrize(("value", "declared"), [("1", pa.float64()), (2**40, pa.int32())])
def test_a_value_of_another_type_is_refused(value, declared):
    """A value that does not fit raises pyarrow's error; nothing is cut off silently."""
    with pytest.raises(pa.ArrowException):
        build_array([value], declared)


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_long_batches_with_nulls_are_joined_correctly(content_type):
    """More records than one chunk holds, some without a field that others have, decode into one batch."""
    reading = (
        b'{"vehicle_id": "v-%d", "reading_no": %d, "reading_at": "2026-05-01T12:00:00Z", "make": "ford", '
        b'"model": "Focus", "year": 2017, "transmission": %s, "speed_kmh": %s}'
    )
    bodies = [
        reading
        % (
            number,
            number,
            b"null" if number % 700 == 5 else b'"manual"',
            b"null" if 300 < number < 320 else b"%d.5" % (number % 100),
        )
        for number in range(1, 2_001)
    ]
    if content_type == NDJSON:
        bodies = [b"\n".join(bodies[first : first + 50]) for first in range(0, len(bodies), 50)]
    decoder = ColumnarDecoder(READING)
    assert not decoder.decode([], content_type, 10_000).counts
    decoded = decoder.decode(bodies, content_type, 10_000)
    assert sum(decoded.counts) == 2_000
    decoded.batch.validate(full=True)
    rows = decoded.batch.select(["vehicle_id", "reading_no", "transmission", "speed_kmh"]).to_pylist()
    assert rows == [
        {
            "vehicle_id": f"v-{number}",
            "reading_no": number,
            "transmission": None if number % 700 == 5 else "manual",
            "speed_kmh": None if 300 < number < 320 else number % 100 + 0.5,
        }
        for number in range(1, 2_001)
    ]
