import pyarrow as pa
import pytest

from services.cli.verify.chain import ChainKey
from services.cli.verify.keys import MAX_READING_NO, VehicleCodes, key_of
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


def landed(codes, *batches, lane=ChainKey(0)):  # noqa: B008 - a frozen value
    readings = Readings(codes)
    for batch in batches:
        readings.take(lane, batch)
    return readings


def test_a_reading_not_in_the_lake_is_missing(codes):
    """Of what was sent, the one that did not land is named."""
    readings = landed(codes, rows((0, 1), (1, 1)))
    sent = [key_of(0, 1), key_of(0, 2), key_of(1, 1)]
    assert readings.missing(pa.array(sent).to_numpy()).tolist() == [key_of(0, 2)]


def test_nothing_landed_is_everything_missing(codes):
    """An empty lake owes all that was sent."""
    assert len(Readings(codes).missing(pa.array([key_of(0, 1)]).to_numpy())) == 1


def test_a_reading_landed_twice_is_doubled_not_disordered(codes):
    """A resent pack counts as doubles, once for each row too many, and breaks no order."""
    readings = landed(codes, rows((0, 1), (0, 2), (0, 1), (0, 2), (0, 2)))
    assert (readings.doubled(), readings.out_of_order()) == (3, 0)


def test_a_reading_landed_on_two_partitions_is_doubled(codes):
    """The same reading in two partitions' files is a double."""
    readings = landed(codes, rows((0, 1)))
    readings.take(ChainKey(1), rows((0, 1)))
    assert readings.doubled() == 1


def test_readings_of_a_vehicle_in_the_wrong_order_are_counted(codes):
    """A reading behind a later one of its vehicle is out of order; another vehicle's do not matter."""
    readings = landed(codes, rows((1, 9), (0, 1), (0, 3), (0, 2), (2, 1), (0, 4)))
    assert (readings.doubled(), readings.out_of_order()) == (0, 1)


def test_order_is_that_of_the_hub_not_of_the_listing(codes):
    """Files read in another order than they were written tell no disorder."""
    readings = landed(codes, rows((0, 3), (0, 4), first=2), rows((0, 1), (0, 2), first=0))
    assert readings.out_of_order() == 0


def test_a_strangers_own_repetition_is_not_ours(codes):
    """A program of someone else's may send a reading twice, in any order: the raw zone keeps it."""
    readings = landed(codes, rows(("van", 2), ("van", 1), ("van", 1)))
    assert (readings.rows, readings.doubled(), readings.out_of_order()) == (3, 0, 0)


def test_a_strangers_event_landed_twice_is_ours(codes):
    """One event of a stranger's in two files is a double of the lake's making."""
    readings = landed(codes, rows(("van", 1)), rows(("van", 1)))
    assert readings.doubled() == 1


def test_a_number_beyond_any_fleets_belongs_to_a_stranger(codes):
    """A huge reading number sent under a fleet vehicle's name is not taken for another vehicle's reading."""
    readings = landed(codes, rows((0, MAX_READING_NO + 2), (1, 1)))
    assert readings.fleet_keys().tolist() == [key_of(1, 1)]
    assert readings.doubled() == 0
