import base64
import zlib
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codec.arrow_bodies import MAX_ROWS, write_stream
from shared.codec.body_decoder import ARROW, JSON, NDJSON, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import MAX_RECORD_BYTES, PREDICTION, READING
from shared.contract.reading import Reading

DECODER = BodyDecoder(READING)


def reading(number=1, **changes):
    fields = {
        "vehicle_id": "v-1",
        "reading_no": number,
        "reading_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
        "make": "ford",
        "model": "Focus",
        "year": 2017,
        "speed_kmh": 50.5,
    }
    return Reading(**{**fields, **changes})


def json_body(number=1, **changes):
    return msgspec.json.encode(msgspec.to_builtins(reading(number)) | changes)


def arrow_batch(*readings):
    return build_batch(READING, readings, [None] * len(readings)).select(READING.schema.names)


@pytest.mark.parametrize("content_type", [None, JSON, "application/json; charset=utf-8", NDJSON])
def test_one_json_record(content_type):
    """One JSON record is one row, whatever the content type is, and without one."""
    decoded = DECODER.decode(json_body(), content_type)
    assert decoded.records == [reading()]
    assert list(decoded.lines) == [0]
    assert not decoded.bad


@pytest.mark.parametrize("content_type", [None, NDJSON, JSON])
def test_lines_are_counted_from_zero_blank_ones_too(content_type):
    """Blank NDJSON lines are skipped but counted, so that a line number leads to its record."""
    body = json_body(1) + b"\n\n" + json_body(2) + b"\n  \n" + json_body(3) + b"\n"
    decoded = DECODER.decode(body, content_type)
    assert [record.reading_no for record in decoded.records] == [1, 2, 3]
    assert list(decoded.lines) == [0, 2, 4]
    assert not decoded.bad


def test_a_json_array_is_its_elements():
    """An array of records counts its elements as lines."""
    decoded = DECODER.decode(b"[" + json_body(1) + b"," + json_body(2) + b"]", JSON)
    assert [record.reading_no for record in decoded.records] == [1, 2]
    assert list(decoded.lines) == [0, 1]


@pytest.mark.parametrize("content_type", [None, ARROW])
def test_arrow_rows_become_rows(content_type):
    """An Arrow body gives the contract's columns; without a content type its first bytes identify it."""
    decoded = DECODER.decode(write_stream(arrow_batch(reading(1), reading(2))), content_type)
    assert decoded.batch is not None
    assert decoded.batch.schema == READING.columns
    assert decoded.batch.column("reading_no").to_pylist() == [1, 2]
    assert decoded.batch.column("extra").null_count == 2
    assert list(decoded.lines) == [0, 1]


def test_unknown_fields_are_kept():
    """A new field is neither a dead letter nor lost: `extra` keeps it, nested values included."""
    single = DECODER.decode(json_body(wiper={"front": [1, 2]}), JSON)
    lines = DECODER.decode(json_body() + b"\n" + json_body(2, wiper="on"), NDJSON)
    table = arrow_batch(reading()).append_column("wiper", pa.array(["on"]))
    arrow = DECODER.decode(write_stream(table), ARROW)
    assert single.extras == ['{"wiper":{"front":[1,2]}}']
    assert lines.extras == [None, '{"wiper":"on"}']
    assert arrow.batch is not None
    assert arrow.batch.column("extra").to_pylist() == ['{"wiper":"on"}']
    assert not single.bad + list(lines.bad) + list(arrow.bad)


def test_an_absent_arrow_column_takes_its_default():
    """A sender may leave out fields that it does not measure; the schema version is then 1."""
    batch = arrow_batch(reading()).select(["vehicle_id", "reading_no", "reading_at", "make", "model", "year"])
    decoded = DECODER.decode(write_stream(batch), ARROW)
    assert decoded.batch is not None
    assert decoded.batch.column("schema_version").to_pylist() == [1]
    assert decoded.batch.column("speed_kmh").to_pylist() == [None]


@pytest.mark.parametrize("content_type", [None, JSON, NDJSON, ARROW])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n ",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"\xff\xff\xff\xff\x10",
        b"{}\n" * 30_000,
        b"x" * 2**20,
        zlib.compress(json_body()),
    ],
    ids=lambda body: repr(body[:8]),
)
def test_a_body_without_a_record_is_one_dead_letter(body, content_type):
    """A body in which no record is found is one dead letter with all its bytes and a reason."""
    decoded = DECODER.decode(body, content_type)
    assert len(decoded.lines) == 0
    assert [(bad.line, bad.body) for bad in decoded.bad] == [(0, body)]
    assert decoded.bad[0].reason


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"year": 1700}, "year"),
        ({"year": "2017"}, "year"),
        ({"make": 5}, "make"),
        ({"make": "x" * 65}, "make"),
        ({"vehicle_id": ""}, "vehicle_id"),
        ({"reading_no": 2**63}, "reading_no"),
        ({"reading_no": 1.5}, "reading_no"),
        ({"speed_kmh": 401}, "speed_kmh"),
        ({"speed_kmh": "NaN"}, "speed_kmh"),
        ({"reading_at": "2026-05-01T12:00:00"}, "reading_at"),
        ({"reading_at": "0001-01-01T00:00:00+14:00"}, "reading_at"),
        ({"dtc_count": -1}, "dtc_count"),
        ({"note": "x" * MAX_RECORD_BYTES}, "too large"),
    ],
)
def test_a_bad_record_names_its_field_and_delays_no_other(changes, where):
    """One bad line goes to the dead letters with its line and bytes; the others land."""
    bad = json_body(2, **changes)
    decoded = DECODER.decode(json_body(1) + b"\n" + bad + b"\n" + json_body(3), NDJSON)
    assert [record.reading_no for record in decoded.records] == [1, 3]
    assert list(decoded.lines) == [0, 2]
    assert [(one.line, one.body) for one in decoded.bad] == [(1, bad)]
    assert where in decoded.bad[0].reason


def test_a_missing_required_field_is_bad():
    """A reading without its key cannot be identified, so it is a dead letter."""
    decoded = DECODER.decode(b'{"vehicle_id":"v"}', JSON)
    assert "reading_no" in decoded.bad[0].reason


@pytest.mark.parametrize(
    "changes", [{"speed_kmh": 401.0}, {"speed_kmh": float("nan")}, {"year": 1700}, {"make": "x" * 65}]
)
def test_a_bad_arrow_row_goes_alone(changes):
    """A row out of bounds is a dead letter that can be replayed: an Arrow stream of that row."""
    decoded = DECODER.decode(write_stream(arrow_batch(reading(1), reading(2, **changes), reading(3))), ARROW)
    assert decoded.batch is not None
    assert decoded.batch.column("reading_no").to_pylist() == [1, 3]
    assert list(decoded.lines) == [0, 2]
    (bad,) = decoded.bad
    assert bad.line == 1
    assert pa.ipc.open_stream(bad.body).read_all()["reading_no"].to_pylist() == [2]


def zstd_bomb():
    """A few kilobytes that declare far more than an event may hold."""
    batch = pa.record_batch({"vehicle_id": pa.array(["x" * 100_000] * 10_000)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def wild_offsets():
    """String offsets far outside their buffer: reading such a column would end the process."""
    body = bytearray(write_stream(arrow_batch(reading(1))))
    at = body.index(b"\x00\x00\x00\x00\x03\x00\x00\x00")  # offsets 0, 3 of the text "v-1"
    body[at + 4 : at + 8] = (2**30).to_bytes(4, "little")
    return bytes(body)


def too_many_rows():
    return write_stream(pa.record_batch({"vehicle_id": ["v"] * (MAX_ROWS + 1)}))


def wrong_types():
    columns = arrow_batch(reading()).drop_columns(["year"])
    return write_stream(columns.append_column("year", pa.array(["2017"])))


@pytest.mark.parametrize(
    "made", [zstd_bomb, wild_offsets, too_many_rows, wrong_types], ids=lambda f: f.__name__
)
def test_a_poisonous_arrow_body_is_refused_before_it_is_touched(made):
    """Neither a bomb nor wild offsets reach memory: each is one dead letter, and the process goes on."""
    body = made()
    before = pa.total_allocated_bytes()
    decoded = DECODER.decode(body, ARROW)
    assert decoded.batch is None
    assert [bad.body for bad in decoded.bad] == [body]
    assert pa.total_allocated_bytes() - before < 2**20


def test_the_bomb_is_small():
    """The bomb of the test above is kilobytes that would become a gigabyte."""
    assert len(zstd_bomb()) < 200_000


@given(st.binary(max_size=300), st.sampled_from([None, JSON, NDJSON, ARROW, "text/plain"]))
def test_no_bytes_make_the_decoder_raise(body, content_type):
    """Any bytes that a sender writes become rows or a dead letter."""
    decoded = DECODER.decode(body, content_type)
    assert decoded.bad or decoded.lines


@given(st.data())
def test_a_damaged_arrow_body_is_a_dead_letter_or_rows(data):
    """A flipped byte anywhere in an Arrow body never ends the process."""
    body = bytearray(write_stream(arrow_batch(reading(1), reading(2))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    decoded = DECODER.decode(bytes(body), ARROW)
    assert decoded.bad or len(decoded.lines)


def test_dead_letter_bytes_survive_base64():
    """A dead letter keeps the bytes that were sent."""
    body = bytes(range(256))
    assert base64.b64decode(base64.b64encode(DECODER.decode(body, JSON).bad[0].body)) == body


def test_predictions_have_a_list_column():
    """The contract of predictions has a column of lists, the flagged fields."""
    assert PREDICTION.schema.field("extrapolated").type == pa.list_(pa.string())
