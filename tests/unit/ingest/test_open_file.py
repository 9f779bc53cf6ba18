"""The open file: its contents, its limits, and the rest of it when another writer was first."""

import base64
import gzip

import msgspec
import pytest

from services.ingest.open_file import OpenFile, RollPolicy, build_turn
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import contract_from_record
from shared.lake.dead_letters import CODES, Letter, encode_letters, reason_code
from shared.streams.event import Event, decode_body


class Tick(msgspec.Struct, frozen=True):
    number: int


CONTRACT = contract_from_record(Tick, 1)
DECODER = BodyDecoder(CONTRACT)
HOUR = 497_184
GZIP = gzip.compress(b"?")


def gather(bodies, first=10):
    gathered = OpenFile(CONTRACT, partition=3, first=first, hour=HOUR, opened_at_s=0.0)
    for number, body in enumerate(bodies, start=first):
        event = Event(number, f"@{number}", 1_000_000, None, body)
        gathered.add(event, DECODER.decode(body, None))
    return gathered


def letters_of(event):
    gathered = OpenFile(CONTRACT, partition=3, first=0, hour=HOUR, opened_at_s=0.0)
    gathered.add(event, decode_body(DECODER, event))
    return gathered.to_contents().letters


@pytest.mark.parametrize(
    ("body", "encoding", "kept"),
    [
        (b"?", "utf-8", (b"?", "utf-8")),
        (GZIP, "gzip", (GZIP, "gzip")),
        (gzip.compress(b'{"number":1}\n{}'), "gzip", (b"{}", None)),
    ],
    ids=["plain", "whole", "line"],
)
def test_a_letter_says_how_its_bytes_are_encoded(body, encoding, kept):
    """A whole body is kept as it was sent; a bad line of a gzip body is kept expanded."""
    (letter,) = letters_of(Event(0, "0", 0, None, body, content_encoding=encoding))
    assert (letter.bad.body, letter.content_encoding) == kept


def test_letters_keep_the_application_properties():
    """What the sender wrote beside the body helps to find it, and a replay sends it again."""
    first, second = letters_of(
        Event(0, "0", 0, None, b"{}\n{}", properties={b"firmware": b"7.1", b"slot": 3})
    )
    assert first.properties == second.properties == {"firmware": "7.1", "slot": 3}


def test_large_properties_are_kept_once():
    """A megabyte of properties with each of thousands of bad lines would fill memory and lake."""
    event = Event(0, "0", 0, None, b"{}\n" * 3, properties={b"note": b"x" * 100_000})
    assert [letter.properties is not None for letter in letters_of(event)] == [True, False, False]


async def test_a_letter_file_holds_encoding_and_properties():
    """Letters of plain events have neither field, as in earlier versions."""
    event = Event(0, "0", 0, None, b"?", content_encoding="utf-8", properties={b"a": b"\xff", b"b": None})
    (piece,) = [piece async for piece in encode_letters("telemetry", letters_of(event))]
    letter = msgspec.json.decode(piece, type=Letter)
    assert (letter.content_encoding, letter.properties) == ("utf-8", {"a": {"base64": "/w=="}, "b": None})


def test_a_cut_covers_every_event():
    """Good rows, dead letters and the range they cover leave together."""
    contents = gather([b'{"number":1}', b"?", b'{"number":2}']).to_contents()

    assert (contents.first, contents.last, contents.last_offset, contents.gap) == (
        10,
        12,
        "@12",
        0,
    )
    assert (contents.hour, contents.next_hour) == (HOUR, HOUR)
    assert contents.table["sequence_number"].to_pylist() == [10, 12]
    assert [letter.origin.sequence_number for letter in contents.letters] == [11]


def test_the_loser_keeps_the_rest():
    """Events in another writer's file are dropped from the contents; the others stay."""
    contents = gather([b'{"number":1}', b"?", b'{"number":2}', b"?"]).to_contents(next_hour=HOUR + 2)

    rest = contents.after(11)

    assert (rest.first, rest.last, rest.next_hour) == (12, 13, HOUR + 2)
    assert rest.table["sequence_number"].to_pylist() == [12]
    assert [letter.origin.sequence_number for letter in rest.letters] == [13]
    assert contents.after(9) is contents
    assert contents.after(13) is None
    assert contents.after(99) is None


def test_a_turn_covers_nothing():
    """A zero-row file that sends the chain to another folder leaves every event to the next file."""
    step = build_turn(10, HOUR, HOUR + 5, "@9", CONTRACT.raw_schema)
    assert (step.first, step.last, step.table.num_rows, step.gap) == (10, 9, 0, 0)
    assert gather([b'{"number":1}']).to_contents().after(step.last).first == 10


def test_a_file_rolls_on_rows_bytes_or_age():
    """Whichever comes first closes a file; an idle one is due on the clock."""
    policy = RollPolicy(max_rows=3, max_bytes=1_000_000, max_age_s=60.0)
    assert not policy.is_full(2, 999_999)
    assert policy.is_full(3, 0)
    assert policy.is_full(0, 1_000_000)
    assert policy.due_in_s(100.0, 130.0) == 30.0
    assert policy.due_in_s(100.0, 161.0) == 0.0


def test_empty_bodies_fill_a_range_too():
    """A stream of empty bodies cannot grow memory without bound: each counts more than its bytes."""
    assert gather([b""] * 100).size_bytes > 100 * 500


async def test_a_dead_letter_says_where_and_why():
    """A line of a dead-letter file is enough to find the event, see its bytes and know the reason."""
    (piece,) = [piece async for piece in encode_letters("telemetry", gather([b"\xff?"]).letters)]
    (line,) = piece.splitlines()

    letter = msgspec.json.decode(line)

    assert base64.b64decode(letter.pop("body")) == b"\xff?"
    assert letter.pop("reason").startswith("malformed: ")
    assert letter == {
        "stream": "telemetry",
        "partition": 3,
        "sequence_number": 10,
        "offset": "@10",
        "line": 0,
        "enqueued_at": "1970-01-01T00:00:01Z",
        "content_type": None,
    }


async def test_large_dead_letters_are_encoded_a_few_at_a_time():
    """However much the letters of a range weigh, about a megabyte of them is in memory twice."""
    bodies = [bytes([255]) * 300_000 for _ in range(10)]

    pieces = [piece async for piece in encode_letters("telemetry", gather(bodies).letters)]

    assert max(map(len, pieces)) < 2**20 + 2 * 400_000
    assert [
        base64.b64decode(msgspec.json.decode(line)["body"]) for line in b"".join(pieces).splitlines()
    ] == bodies


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("malformed: Input data was truncated", "malformed"),
        ("invalid: Expected `int`", "invalid"),
        ("too large: a record holds at most 65536 bytes", "too large"),
        ("no record in the body", "empty"),
        ("named by operator", "named by operator"),
    ],
)
def test_reasons_are_counted_by_a_closed_set(reason, code):
    """Metrics count every bad record by one of five codes."""
    assert reason_code(reason) == code
    assert code in CODES
