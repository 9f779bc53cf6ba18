"""Events decoded together land exactly as events decoded one by one, even among bad ones."""

import gzip

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.open_file import RollPolicy
from shared.codec.batch_decoder import EMPTY
from shared.codec.body_decoder import JSON, NDJSON
from tests.support.landed_files import build_events, land_events
from tests.support.reading_bodies import BODIES, ONE, TWO

ODD_EVENTS = [
    (ONE, JSON, {"content_encoding": "utf-8"}),
    (gzip.compress(ONE), JSON, {"content_encoding": "gzip"}),
    (gzip.compress(ONE + b"\n{}\n" + TWO), NDJSON, {"content_encoding": "gzip"}),
    (gzip.compress(b"nothing"), NDJSON, {"content_encoding": "gzip", "properties": {b"a": b"b"}}),
    (ONE, JSON, {"content_encoding": "gzip"}),
    (ONE, JSON, {"fault": "malformed: the body is an AMQP sequence"}),
]


class OneByOne:
    """A batch decoder that decodes nothing, so that each event is decoded by itself."""

    def decode(self, _bodies, _content_type, _max_rows):
        return EMPTY


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(BODIES + ODD_EVENTS) | st.sampled_from(BODIES[:2] + BODIES[24:25] + BODIES[33:34]),
        max_size=30,
    ),
    st.integers(0, 40),
    st.sampled_from([RollPolicy(10**6, 10**9, 60), RollPolicy(3, 10**9, 60), RollPolicy(10**6, 1_500, 60)]),
    st.frozensets(st.integers(0, 30), max_size=2),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_together_is_as_one_by_one(bodies, later, policy, named, again):
    """Files, rows, lineage and dead letters are the same to the byte; files end at the same events."""
    events = build_events(bodies, later)
    for number in again:  # the SDK goes back after a reconnect
        if number < len(events):
            events[number + 1 : number + 1] = events[max(0, number - 2) : number + 1]
    expected = land_events(events, policy, named, OneByOne())
    found = land_events(events, policy, named)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.first, mine.last, mine.last_offset) == (theirs.first, theirs.last, theirs.last_offset)
        assert (mine.hour, mine.next_hour) == (theirs.hour, theirs.next_hour)
        assert mine.letters == theirs.letters
        assert mine.table.equals(theirs.table)
        mine.table.validate(full=True)
