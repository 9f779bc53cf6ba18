"""Records read by the fields that were sent so far are the records that the whole contract reads."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec.bodies import JSON, NDJSON, BodyDecoder
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.json_schema import contract_from_schema

VISITS = contract_from_schema(
    "visits",
    msgspec.json.encode(
        {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "began_at": {"type": "string", "format": "date-time"},
                "ended_at": {"type": "string", "format": "date-time"},
                "kind": {"type": "string", "default": "walk"},
                "is_paid": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "score": {"type": "number"},
            },
            "required": ["id", "began_at"],
        }
    ),
)
INSTANTS = ["2026-05-01T12:00:00Z", "2026-05-01T14:00:00.25+02:00", "0001-01-01T00:00:00Z", "yesterday", 5]
NUMBERS = [0, 1, -1, 1.0, 1.5, 1e300, 2**63, -(2**63), True, "1", None]
VISIT = st.fixed_dictionaries(
    {"id": st.sampled_from([1, 2, 2, 2**63, 1.5]), "began_at": st.sampled_from(INSTANTS[:1] * 6 + INSTANTS)},
    optional={
        "ended_at": st.sampled_from([*INSTANTS, None]),
        "kind": st.sampled_from(["run", "", None]),
        "is_paid": st.sampled_from([True, None, 1]),
        "tags": st.sampled_from([[], ["a"], None, [1]]),
        "score": st.sampled_from(NUMBERS),
        "mood": st.just("glad"),
    },
)


def reading(number, **fields):
    return {
        "vehicle_id": "v-1",
        "reading_no": number,
        "reading_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
        "make": "ford",
        "model": "Focus",
        "year": 2017,
        **fields,
    }


def rows_by_run(contract, bodies, content_type):
    """(place, rows) of each event that a run took; of the others None for the rows."""
    runs, found, place = ColumnarDecoder(contract), [], 0
    while place < len(bodies):
        run = runs.decode(bodies[place:], content_type, 10_000)
        if not run.counts:
            found.append(None)
        else:
            run.batch.validate(full=True)
            rows = run.batch.to_pylist()
            for count in run.counts:
                found.append(rows[:count])
                del rows[:count]
            assert not rows
        place += len(run.counts) or 1
    return found


def rows_one_by_one(contract, bodies, content_type):
    """The same by each event alone; None where anything about it is out of the ordinary."""
    decoder = BodyDecoder(contract)
    for body in bodies:
        one = decoder.decode(body, content_type)
        is_plain = one.records and not one.bad and not any(one.extras)
        yield build_batch(contract, one.records, one.extras).to_pylist() if is_plain else None


@settings(max_examples=300, deadline=None)
@given(st.lists(VISIT, max_size=12))
def test_a_narrow_type_reads_what_the_contract_reads(visits):
    """Whichever fields came before: the same events are plain, and their rows the same."""
    bodies = [msgspec.json.encode(one) for one in visits]
    assert rows_by_run(VISITS, bodies, JSON) == list(rows_one_by_one(VISITS, bodies, JSON))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(VISIT, min_size=1, max_size=4), max_size=6))
def test_so_it_is_with_lines(events):
    """Of an event of many lines too, all are taken or none."""
    bodies = [b"\n".join(map(msgspec.json.encode, lines)) for lines in events]
    assert rows_by_run(VISITS, bodies, NDJSON) == list(rows_one_by_one(VISITS, bodies, NDJSON))


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_a_new_field_breaks_no_run_for_long(content_type):
    """A field of the contract that nobody sent before ends one run, and is in the next ones for good."""
    plain, more = msgspec.json.encode(reading(1)), msgspec.json.encode(reading(2, speed_kmh=50.5))
    runs = ColumnarDecoder(READING)
    taken = [len(runs.decode([plain, more, plain, more], content_type, 100).counts) for _ in range(2)]
    rest = runs.decode([more, plain, more], content_type, 100)
    assert taken == [1, 1]
    assert len(rest.counts) == 3
    assert rest.batch["speed_kmh"].to_pylist() == [50.5, None, 50.5]
    assert len(runs.decode([plain, more, plain, more], content_type, 100).counts) == 4
