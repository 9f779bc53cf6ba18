"""Events decoded together land exactly as events decoded one by one, whatever stands among them."""

from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.commit import Source
from services.ingest.open_file import RollPolicy
from services.ingest.partition import PartitionIngest
from shared.codec.arrow_bodies import write_stream
from shared.codec.batch_decoder import EMPTY, BatchDecoder
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.reading import Reading
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import HOUR_US, ChainKey
from shared.streams.event import Event
from shared.streams.handler_protocols import Start
from tests.support.ingest_model import Fed, Unnoted

HOUR = 497_184
ALL_ROWS = 10_000


def reading(number, **fields):
    return Reading(
        **{
            "vehicle_id": "v-1",
            "reading_no": number,
            "reading_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
            "make": "ford",
            "model": "Focus",
            "year": 2017,
            **fields,
        }
    )


def json_of(number, **changes):
    return msgspec.json.encode(msgspec.to_builtins(reading(number)) | changes)


def arrow_of(*readings):
    return build_batch(READING, readings, [None] * len(readings)).select(READING.schema.names)


ONE, TWO = json_of(1), json_of(2)
UNTIMELY = json_of(3, reading_at="0001-01-01T00:00:00+14:00")
# What a sender may write, by mistake or to have the records of others swallowed, split or shifted.
BODIES = [
    (ONE, JSON),
    (TWO, JSON),
    (ONE, None),
    (ONE, "application/json; charset=utf-8"),
    (ONE, "text/plain"),
    (b" \n" + TWO + b"\n ", JSON),
    (ONE + b"," + TWO, JSON),
    (ONE + TWO, JSON),
    (ONE + b"\n" + TWO, JSON),
    (ONE + b"],[" + TWO, JSON),
    (ONE[:40], JSON),
    (ONE[40:], JSON),
    (b"[" + ONE + b"," + TWO + b"]", JSON),
    (b"", JSON),
    (b"\n", JSON),
    (b"null", JSON),
    (b"{}", JSON),
    (b"]", JSON),
    (b"\xff\xfe", JSON),
    (b'"' + b"x" * 70_000 + b'"', JSON),
    (json_of(3, wiper={"front": 1}), JSON),
    (json_of(3, year=1700), JSON),
    (UNTIMELY, JSON),
    (UNTIMELY, NDJSON),
    (ONE + b"\n" + TWO, NDJSON),
    (ONE + b"\r\n" + TWO + b"\r\n", NDJSON),
    (ONE + b"\n\n" + TWO + b"\n", NDJSON),
    (ONE + TWO, NDJSON),
    (ONE + TWO + b"\n" + ONE[:40] + b"\n" + ONE[40:], NDJSON),
    (ONE[:40] + b"\n" + ONE[40:] + b"\n" + TWO, NDJSON),
    (ONE + b"\n{}\n" + TWO, NDJSON),
    (json_of(3, wiper="on") + b"\n" + TWO, NDJSON),
    (b"", NDJSON),
    (write_stream(arrow_of(reading(1), reading(2))), ARROW),
    (write_stream(arrow_of(reading(3))), None),
    (write_stream(arrow_of(reading(1), reading(2, year=1700), reading(3))), ARROW),
    (write_stream(arrow_of(reading(1, speed_kmh=float("nan")))), ARROW),
    (write_stream(arrow_of(reading(1)).append_column("wiper", pa.array(["on"]))), ARROW),
    (write_stream(arrow_of(reading(1)).select(["vehicle_id", "reading_no", "reading_at"])), ARROW),
    (write_stream(arrow_of(reading(1)).drop_columns(["vin"])), ARROW),
    (write_stream(arrow_of()), ARROW),
    (write_stream(arrow_of(reading(1)))[:-100], ARROW),
    (ONE, ARROW),
]


class OneByOne:
    """Finds no event plain: every one is decoded by itself."""

    def decode(self, _bodies, _content_type, _max_rows):
        return EMPTY


class Landed:
    """Takes every cut at once."""

    def __init__(self):
        self.source = Source("telemetry", "2026-01-01T00:00:00Z", READING)
        self.chain = ChainKey("telemetry", 3)
        self.head = None
        self.cuts = []

    async def land(self, cut):
        self.cuts.append(cut)
        self.head = Head(cut.last + 1, cut.next_hour)


async def _nothing(*_arguments):
    return None


def cuts_of(events, policy, named, runs=None, **options):
    """Every cut that the pipeline makes of these events."""
    landed = Landed()
    pipeline = PartitionIngest(landed, policy, _nothing, Unnoted(), named, clock=lambda: 0.0, **options)
    if runs is not None:
        pipeline._runs = runs

    async def story():
        await Fed(pipeline, Start(0)).take(events)
        await pipeline.flush()

    with suppress(StopIteration):
        story().send(None)
    return landed.cuts


def events_of(bodies, later):
    return [
        Event(number, f"@{number}", (HOUR + (number >= later)) * HOUR_US + number, content_type, body)
        for number, (body, content_type) in enumerate(bodies)
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(BODIES) | st.sampled_from(BODIES[:2] + BODIES[24:25] + BODIES[33:34]), max_size=30
    ),
    st.integers(0, 40),
    st.sampled_from([RollPolicy(10**6, 10**9, 60), RollPolicy(3, 10**9, 60), RollPolicy(10**6, 1_500, 60)]),
    st.frozensets(st.integers(0, 30), max_size=2),
    st.lists(st.integers(0, 30), max_size=3),
)
def test_together_is_as_one_by_one(bodies, later, policy, named, again):
    """Files, rows, lineage and dead letters are the same to the byte; files end at the same events."""
    events = events_of(bodies, later)
    for number in again:  # the SDK goes back after a reconnect
        if number < len(events):
            events[number + 1 : number + 1] = events[max(0, number - 2) : number + 1]
    expected = cuts_of(events, policy, named, OneByOne())
    found = cuts_of(events, policy, named)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine.first, mine.last, mine.last_offset) == (theirs.first, theirs.last, theirs.last_offset)
        assert (mine.hour, mine.next_hour) == (theirs.hour, theirs.next_hour)
        assert mine.letters == theirs.letters
        assert mine.table.equals(theirs.table)
        mine.table.validate(full=True)


@pytest.mark.parametrize("decoder", [BatchDecoder, ColumnarDecoder])
@pytest.mark.parametrize("index", range(len(BODIES)))
def test_a_run_never_says_more_than_a_single_event(index, decoder):
    """An odd body between good ones of its own kind takes nothing from them and adds nothing to them."""
    body, content_type = BODIES[index]
    good = {NDJSON: BODIES[24][0], ARROW: BODIES[33][0]}.get(content_type, ONE)
    run = decoder(READING).decode([good, body, good], content_type, ALL_ROWS)
    alone = BodyDecoder(READING).decode(body, content_type)
    is_plain = not alone.bad and not any(alone.extras) and len(alone.lines) == alone.lines[-1] + 1
    assert len(run.counts) in ((1, 3) if is_plain else (1,))
    if len(run.counts) == 3:
        assert run.counts[1] == len(alone.lines)


FRAGMENTS = [
    ONE,
    TWO,
    ONE + TWO,
    ONE + b" " + TWO,
    ONE[:40],
    ONE[40:],
    b"",
    b" ",
    b"{}",
    b"{",
    b"}",
    ONE + b"\r",
]
FRAGMENTS += [ONE[:-1] + b',"wiper":{}', b"{" + ONE, b'"}', b"}{", b" " + ONE, b"[", b"]", b"," + TWO]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.sampled_from(FRAGMENTS[:4]), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_line_is_judged_by_itself(lines, is_ended):
    """Two records on a line, or one over two lines, are bad lines, however many the others make up for."""
    decoded = BodyDecoder(READING).decode(b"\n".join(lines) + b"\n" * is_ended, NDJSON)
    strict = msgspec.json.Decoder(Reading)
    expected = {}
    for number, line in enumerate(lines):
        try:
            expected[number] = strict.decode(line)
        except msgspec.MsgspecError:
            continue
    assert dict(zip(decoded.lines, decoded.records, strict=True)) == expected


def test_a_bad_row_shortens_the_runs_after_it():
    """A sender of many rows out of bounds has no event decoded more than twice or so."""
    good, bad = BODIES[33][0], BODIES[35][0]
    runs = BatchDecoder(READING)
    mixed = [len(runs.decode([good, bad, *[good] * 20], ARROW, ALL_ROWS).counts) for _ in range(4)]
    plain = [len(runs.decode([good] * 20, ARROW, ALL_ROWS).counts) for _ in range(5)]
    assert mixed == [1, 1, 1, 1]
    assert plain == [2, 4, 8, 16, 20]
