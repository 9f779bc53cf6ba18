from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from services.cli.verify.chain import ChainKey
from services.cli.verify.keys import VehicleCodes
from services.cli.verify.predictions import Predictions
from services.cli.verify.prices import Prices
from services.cli.verify.readings import Readings
from shared.contract.columns import INSTANT
from shared.contract.prediction import Prediction

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def codes():
    return VehicleCodes()


@pytest.fixture
def readings(codes):
    """Readings 1 to 3 of one vehicle, one event each."""
    readings = Readings(codes)
    columns = {"vehicle_id": ["a"] * 3, "reading_no": [1, 2, 3], "sequence_number": [0, 1, 2]}
    readings.add(ChainKey(0), pa.record_batch({**columns, "line": pa.array([0] * 3, pa.int32())}))
    return readings


def rows(*numbers, latency_ms=40):
    """Raw rows that predict reading n at sequence number n - 1."""
    at = [AT] * len(numbers)
    return pa.record_batch(
        {
            "vehicle_id": pa.array(["a"] * len(numbers)),
            "reading_no": pa.array(numbers, pa.int64()),
            "reading_at": pa.array(at, INSTANT),
            "enqueued_at": pa.array([one + timedelta(milliseconds=latency_ms) for one in at], INSTANT),
            "source_partition": pa.array([0] * len(numbers), pa.int32()),
            "source_sequence_number": pa.array([number - 1 for number in numbers], pa.int64()),
            "source_line": pa.array([0] * len(numbers), pa.int32()),
        }
    )


def make_prediction(number, vehicle_id="a"):
    return Prediction(
        vehicle_id=vehicle_id,
        reading_no=number,
        reading_at=AT,
        predicted_at=AT,
        price=1.0,
        lower=1.0,
        upper=1.0,
        currency="GBP",
        coverage=0.9,
        model="price",
        version="1",
        extrapolated=(),
        source_partition=0,
        source_sequence_number=number - 1,
        source_line=0,
    )


def test_a_reading_without_a_prediction_is_missing_one(codes, readings):
    """Two of three priced: one prediction is missing."""
    predictions = Predictions(codes, Prices())
    predictions.add_rows(rows(1, 3))
    assert (predictions.count_distinct(), predictions.count_missing(readings)) == (2, (1, 0))


def test_what_comes_after_the_last_price_may_still_be_priced(codes, readings):
    """Of two readings without a price, the one at the end waits: a scorer that goes on prices it."""
    predictions = Predictions(codes, Prices())
    predictions.add_rows(rows(2))
    assert predictions.count_missing(readings) == (2, 1)
    assert Predictions(codes, Prices()).count_missing(readings) == (3, 3)


def test_a_prediction_of_another_reading_does_not_count(codes, readings):
    """A price at the right place of another vehicle leaves the reading without one."""
    predictions = Predictions(codes, Prices())
    for number, vehicle in ((1, "a"), (2, "b"), (3, "a")):
        predictions.add(make_prediction(number, vehicle), timedelta())
    assert predictions.count_missing(readings) == (1, 0)


def test_doubles_below_the_watermark_are_raw_only(codes, readings):
    """A restarted scorer's doubles are dropped by every client; the hub's raw count shows them."""
    predictions = Predictions(codes, Prices())
    predictions.add_rows(rows(1, 2, 1, 2))
    predictions.add_rows(rows(2, 3))
    assert (predictions.raw, predictions.seen, predictions.count_distinct()) == (6, 3, 3)
    assert predictions.count_missing(readings) == (0, 0)


def test_a_double_that_a_client_sees_is_counted(codes):
    """A prediction that passed the reader twice is doubled for the client too."""
    predictions = Predictions(codes, Prices())
    predictions.add(make_prediction(1), timedelta())
    predictions.add(make_prediction(1), timedelta())
    assert predictions.seen - predictions.count_distinct() == 1


def test_a_client_goes_on_from_the_lake_to_the_hub(codes):
    """If retention cut between a prediction and its double, the client still drops the double."""
    older, later = Predictions(codes, Prices()), Predictions(codes, Prices())
    older.add_rows(rows(1, 2))
    for number in (2, 3):
        later.add(make_prediction(number), timedelta())
    later.raw = 2
    older.append(later, older.marks)
    assert (older.raw, older.seen, older.count_distinct()) == (4, 3, 3)


def test_latency_is_from_the_reading_to_the_hub(codes):
    """Percentiles are of the enqueued time less reading_at, in milliseconds."""
    predictions = Predictions(codes, Prices())
    predictions.add_rows(rows(1, 2, latency_ms=40))
    assert predictions.latency_ms() == {"p50": 40.0, "p95": 40.0, "p99": 40.0}


def test_other_senders_clocks_do_not_count_beside_the_fleets(codes):
    """Readings of unknown clocks are left out of the latency if the fleet sent too."""
    codes.fleet_code("b")
    predictions = Predictions(codes, Prices())
    predictions.add_rows(rows(1, latency_ms=10**9))
    predictions.add(make_prediction(1, "b"), timedelta(milliseconds=30))
    assert predictions.latency_ms()["p99"] == 30.0


def test_without_predictions_there_is_no_latency(codes):
    """Nothing predicted: null, not zero."""
    assert Predictions(codes, Prices()).latency_ms() == {"p50": None, "p95": None, "p99": None}
