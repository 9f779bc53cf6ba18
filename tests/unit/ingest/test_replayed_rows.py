import json

import pyarrow as pa
import pytest

from services.ingest.replayed_rows import tag_replayed_rows
from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.dead_letter_id import DeadLetterId

LETTER = DeadLetterId("2026-01-01T00:00:00Z", 3, 17, 2)
NAMED = {"created_at": "2026-01-01T00:00:00Z", "partition": 3, "sequence_number": 17, "line": 2}
READING_JSON = (
    b'{"vehicle_id":"van","reading_no":%d,"reading_at":"2026-01-01T00:00:00Z","make":"Ford","model":"Focus",'
    b'"year":2019%s}'
)


def arrow_body(body):
    """The same records as an Arrow body, with a column of the sender's own."""
    records = BodyDecoder(READING).decode(body, NDJSON).records
    batch = build_batch(READING, records, [None] * len(records)).select(READING.schema.names)
    return write_stream(batch.append_column("own", pa.array(["x"] * len(records))))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (READING_JSON % (1, b',"own":"x"'), JSON),
        (READING_JSON % (1, b',"own":"x"') + b"\n" + READING_JSON % (2, b',"own":"x"'), NDJSON),
        (arrow_body(READING_JSON % (1, b"") + b"\n" + READING_JSON % (2, b"")), ARROW),
    ],
)
def test_every_row_of_a_replay_names_its_dead_letter(body, content_type):
    """The dead letter is added beside the sender's own fields, in JSON and in Arrow bodies."""
    decoded = tag_replayed_rows(BodyDecoder(READING).decode(body, content_type), LETTER)
    assert not decoded.bad
    extras = decoded.extras if decoded.batch is None else decoded.batch["extra"].to_pylist()
    assert [json.loads(extra) for extra in extras] == [{"own": "x", "replay_of": NAMED}] * len(decoded.lines)


def test_a_senders_own_field_gives_way():
    """A row names the same dead letter as its event."""
    body = READING_JSON % (1, b',"replay_of":"me"')
    (extra,) = tag_replayed_rows(BodyDecoder(READING).decode(body, JSON), LETTER).extras
    assert json.loads(extra) == {"replay_of": NAMED}


@pytest.mark.parametrize(
    "properties",
    [
        None,
        {},
        {b"other": 1},
        {b"replay_created_at": b"x"},
        {**LETTER.properties(), "replay_line": "2"},
        {**LETTER.properties(), "replay_line": True},
    ],
)
def test_somebody_elses_properties_are_no_replay(properties):
    """An event replays a dead letter only if it has all of the properties."""
    assert DeadLetterId.from_properties(properties) is None


def test_properties_come_back_as_bytes():
    """The SDK gives names and texts as bytes, sent ones as text."""
    received = {
        name.encode(): value.encode() if isinstance(value, str) else value
        for name, value in LETTER.properties().items()
    }
    assert (
        DeadLetterId.from_properties(received) == DeadLetterId.from_properties(LETTER.properties()) == LETTER
    )
