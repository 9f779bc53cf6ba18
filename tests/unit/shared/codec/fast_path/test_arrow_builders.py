"""Columns joined of parts are what pyarrow makes of all their values at once."""

from datetime import UTC, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.bodies import JSON, NDJSON
from shared.codec.fast_path.arrow_builders import build_array, builder_for
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.contract.columns import INSTANT, READING

INT32, INT64 = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (32, 64))
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]))
VALUES = [
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.int64(), INT64),
    (pa.int32(), INT32),
    (pa.string(), st.text() | st.sampled_from(["", "\0", "a\0b", "Škoda", "🚗"])),
    (INSTANT, MOMENTS),
    (pa.bool_(), st.booleans()),
    (pa.list_(pa.string()), st.lists(st.text(max_size=3), max_size=3)),
]
TYPED = st.sampled_from(VALUES).flatmap(
    lambda one: st.tuples(st.just(one[0]), st.lists(st.lists(one[1] | st.none(), min_size=1), min_size=1))
)


@given(TYPED)
def test_parts_join_to_what_pyarrow_makes(typed):
    """With gaps and without, in one part or many."""
    declared, parts = typed
    values = [value for part in parts for value in part]
    kind = builder_for(declared)
    column = kind.array([kind.part(part) for part in parts], len(values))
    column.validate(full=True)
    assert column.equals(pa.array(values, declared))


@given(TYPED)
def test_so_does_a_single_part(typed):
    """As batches of records have it; of no values too."""
    declared, parts = typed
    column = build_array(parts[0], declared)
    column.validate(full=True)
    assert column.equals(pa.array(parts[0], declared))
    assert build_array([], declared).equals(pa.array([], declared))


@pytest.mark.parametrize(("value", "declared"), [("1", pa.float64()), (2**40, pa.int32())])
def test_a_value_of_another_type_is_refused(value, declared):
    """As pyarrow refuses it: nothing is cut off in silence."""
    with pytest.raises(pa.ArrowException):
        build_array([value], declared)


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_long_runs_with_gaps_are_joined_right(content_type):
    """More records than are packed at one go, some without a field that others have."""
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
    runs = ColumnarDecoder(READING)
    assert not runs.decode([], content_type, 10_000).counts
    run = runs.decode(bodies, content_type, 10_000)
    assert sum(run.counts) == 2_000
    run.batch.validate(full=True)
    rows = run.batch.select(["vehicle_id", "reading_no", "transmission", "speed_kmh"]).to_pylist()
    assert rows == [
        {
            "vehicle_id": f"v-{number}",
            "reading_no": number,
            "transmission": None if number % 700 == 5 else "manual",
            "speed_kmh": None if 300 < number < 320 else number % 100 + 0.5,
        }
        for number in range(1, 2_001)
    ]
