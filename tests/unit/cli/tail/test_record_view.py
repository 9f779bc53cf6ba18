import json
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from services.cli.tail.record_view import Place, TailRecord, format_plain, format_styled
from shared.codec.body_decoder import BadLine
from shared.contract.prediction import Prediction
from shared.contract.reading import Reading

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = Place(2, 41, "8192", 3, AT + timedelta(milliseconds=87))
READING = Reading(
    vehicle_id="s7-v000001",
    reading_no=12,
    reading_at=AT,
    make="Ford",
    model="Focus",
    year=2019,
    speed_kmh=48.25,
)
PREDICTION = Prediction(
    vehicle_id="s7-v000001",
    reading_no=12,
    reading_at=AT,
    predicted_at=AT,
    price=9_950.4,
    lower=8_400,
    upper=11_700,
    currency="GBP",
    coverage=0.9,
    model="price",
    version="1",
    extrapolated=("year",),
    source_partition=2,
    source_sequence_number=40,
    source_line=0,
)


def test_machines_get_the_record_and_its_place():
    """One flat object: the fields as sent, unknown ones too, then the record's place."""
    line = TailRecord(PLACE, READING, extra='{"colour":"red"}').json_line()
    fields = json.loads(line)
    assert "\n" not in line
    assert fields["vehicle_id"] == "s7-v000001"
    assert fields["extra"] == {"colour": "red"}
    assert list(fields)[-5:] == ["partition", "sequence_number", "offset", "line", "enqueued_at"]
    assert (fields["offset"], fields["enqueued_at"]) == ("8192", "2026-03-01T12:00:00.087000Z")


def test_a_bad_record_is_shown_as_such():
    """A line that cannot be decoded is shown with its reason, to machines with its bytes too."""
    bad = TailRecord(PLACE, BadLine(3, "malformed: no JSON", b"\xff"), content_type="application/json")
    fields = json.loads(bad.json_line())
    assert (fields["reason"], fields["body"]) == ("malformed: no JSON", "/w==")
    assert "malformed: no JSON (1 bytes)" in format_plain(bad.cells())
    assert bad.vehicle_id is None


def test_people_read_aligned_columns():
    """The columns of two readings start at the same positions."""
    readings = READING, replace(READING, reading_no=12_345)
    short, long = (format_plain(TailRecord(PLACE, reading).cells()) for reading in readings)
    assert short.index("Ford") == long.index("Ford")
    assert short.endswith("2:8192 #41.3")
    assert "48.2 km/h" in short


def test_a_prediction_shows_price_interval_and_latency():
    """Price, interval, model, latency, and a flag if the model extrapolated."""
    line = format_plain(TailRecord(PLACE, PREDICTION).cells())
    for text in ("9,950 GBP", "8,400 to 11,700", "price 1", "87 ms", "extrapolated"):
        assert text in line


def test_a_senders_control_characters_do_not_reach_the_terminal():
    """A vehicle's id cannot clear the operator's screen."""
    named = Reading(vehicle_id="a\x1b[2J", reading_no=1, reading_at=AT, make="x", model="y", year=2000)
    cells = list(TailRecord(PLACE, named).cells())
    assert "\x1b" not in format_plain(iter(cells))
    assert not any("\x1b" in text for text, _ in format_styled(iter(cells)))
