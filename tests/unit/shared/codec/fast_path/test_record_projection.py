"""Decoding by the fields sent so far gives the same records as decoding by the whole contract."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec.body_decoder import JSON, NDJSON, BodyDecoder
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
TIMES = ["2026-05-01T12:00:00Z", "2026-05-01T14:00:00.25+02:00", "0001-01-01T00:00:00Z", "yesterday", 5]
NUMBERS = [0, 1, -1, 1.0, 1.5, 1e300, 2**63, -(2**63), True, "1", None]
VISIT = st.fixed_dictionaries(
    {"id": st.sampled_from([1, 2, 2, 2**63, 1.5]), "began_at": st.sampled_from(TIMES[:1] * 6 + TIMES)},
    optional={
        "ended_at": st.sampled_from([*TIMES, None]),
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


def rows_by_batch(contract, bodies, content_type):
    """The rows of each event that the fast path decodes; None for each event that it leaves."""
    decoder, found, place = ColumnarDecoder(contract), [], 0
    while place < len(bodies):
        decoded = decoder.decode(bodies[place:], content_type, 10_000)
        if not decoded.counts:
            found.append(None)
        else:
            decoded.batch.validate(full=True)
            rows = decoded.batch.to_pylist()
            for count in decoded.counts:
                found.append(rows[:count])
                del rows[:count]
            assert not rows
        place += len(decoded.counts) or 1
    return found


def rows_one_by_one(contract, bodies, content_type):
    """The rows of each event decoded alone; None for each event that is not regular."""
    decoder = BodyDecoder(contract)
    for body in bodies:
        one = decoder.decode(body, content_type)
        is_regular = one.records and not one.bad and not any(one.extras)
        yield build_batch(contract, one.records, one.extras).to_pylist() if is_regular else None


@settings(max_examples=300, deadline=None)
@given(st.lists(VISIT, max_size=12))
def test_a_projection_decodes_what_the_contract_decodes(visits):
    """Whichever fields came before, the same events are regular, and their rows are the same."""
    bodies = [msgspec.json.encode(one) for one in visits]
    assert rows_by_batch(VISITS, bodies, JSON) == list(rows_one_by_one(VISITS, bodies, JSON))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(VISIT, min_size=1, max_size=4), max_size=6))
def test_so_it_does_with_lines(events):
    """An event of many lines is decoded as a whole or not at all."""
    bodies = [b"\n".join(map(msgspec.json.encode, lines)) for lines in events]
    assert rows_by_batch(VISITS, bodies, NDJSON) == list(rows_one_by_one(VISITS, bodies, NDJSON))


@pytest.mark.parametrize("content_type", [JSON, NDJSON])
def test_a_new_field_shortens_one_batch_only(content_type):
    """A field of the contract that was not sent before ends one batch; all later batches have it."""
    plain, more = msgspec.json.encode(reading(1)), msgspec.json.encode(reading(2, speed_kmh=50.5))
    decoder = ColumnarDecoder(READING)
    counts = [len(decoder.decode([plain, more, plain, more], content_type, 100).counts) for _ in range(2)]
    rest = decoder.decode([more, plain, more], content_type, 100)
    assert counts == [1, 1]
    assert len(rest.counts) == 3
    assert rest.batch["speed_kmh"].to_pylist() == [50.5, None, 50.5]
    assert len(decoder.decode([plain, more, plain, more], content_type, 100).counts) == 4
