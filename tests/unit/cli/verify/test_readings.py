import pyarrow as pa
import pytest

from services.cli.verify.chain import ChainKey
from services.cli.verify.keys import MAX_READING_NO, VehicleCodes, make_key
from services.cli.verify.readings import Readings


@pytest.fixture
def codes():
    codes = VehicleCodes()
    for index in range(3):
        codes.fleet_code(f"s7-v{index:06d}")
    return codes


def rows(*keyed, first=0):
    """A batch of (vehicle id, reading number), one event each."""
    sequences = range(first, first + len(keyed))
    return pa.record_batch(
        {
            "vehicle_id": [one if isinstance(one, str) else f"s7-v{one:06d}" for one, _ in keyed],
            "reading_no": [number for _, number in keyed],
            "sequence_number": list(sequences),
            "line": pa.array([0] * len(keyed), pa.int32()),
        }
    )


def landed(codes, *batches, chain=ChainKey(0)):  # noqa: B008 - a frozen value
    readings = Readings(codes)
    for batch in batches:
        readings.add(chain, batch)
    return readings


def test_a_reading_not_in_the_lake_is_missing(codes):
    """The reading that was sent and did not land is named."""
    readings = landed(codes, rows((0, 1), (1, 1)))
    sent = [make_key(0, 1), make_key(0, 2), make_key(1, 1)]
    assert readings.find_missing(pa.array(sent).to_numpy()).tolist() == [make_key(0, 2)]


def test_nothing_landed_is_everything_missing(codes):
    """In an empty lake everything sent is missing."""
    assert len(Readings(codes).find_missing(pa.array([make_key(0, 1)]).to_numpy())) == 1


def test_a_reading_landed_twice_is_doubled_not_disordered(codes):
    """A resent pack counts one double for each superfluous row, and breaks no order."""
    readings = landed(codes, rows((0, 1), (0, 2), (0, 1), (0, 2), (0, 2)))
    assert (readings.count_doubled(), readings.count_out_of_order()) == (3, 0)


def test_a_reading_landed_on_two_partitions_is_doubled(codes):
    """The same reading in two partitions' files is a double."""
    readings = landed(codes, rows((0, 1)))
    readings.add(ChainKey(1), rows((0, 1)))
    assert readings.count_doubled() == 1


def test_readings_of_a_vehicle_in_the_wrong_order_are_counted(codes):
    """A reading after a later one of its vehicle is out of order; other vehicles' readings do not matter."""
    readings = landed(codes, rows((1, 9), (0, 1), (0, 3), (0, 2), (2, 1), (0, 4)))
    assert (readings.count_doubled(), readings.count_out_of_order()) == (0, 1)


def test_order_is_that_of_the_hub_not_of_the_listing(codes):
    """Files read in another order than they were written cause no disorder."""
    readings = landed(codes, rows((0, 3), (0, 4), first=2), rows((0, 1), (0, 2), first=0))
    assert readings.count_out_of_order() == 0


def test_another_senders_own_repetition_is_no_double(codes):
    """Another program may send a reading twice, in any order: the raw zone keeps it."""
    readings = landed(codes, rows(("van", 2), ("van", 1), ("van", 1)))
    assert (readings.rows, readings.count_doubled(), readings.count_out_of_order()) == (3, 0, 0)


def test_another_senders_event_landed_twice_is_a_double(codes):
    """One event of another sender in two files was doubled by the lake."""
    readings = landed(codes, rows(("van", 1)), rows(("van", 1)))
    assert readings.count_doubled() == 1


def test_a_number_beyond_any_fleets_is_another_senders(codes):
    """A huge reading number under a fleet vehicle's id is not mistaken for another vehicle's reading."""
    readings = landed(codes, rows((0, MAX_READING_NO + 2), (1, 1)))
    assert readings.fleet_keys().tolist() == [make_key(1, 1)]
    assert readings.count_doubled() == 0
