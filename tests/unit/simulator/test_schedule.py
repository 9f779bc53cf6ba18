import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.schedule import Packing, Schedule

S = 1_000_000


def schedule(vehicles=(0, 2, 3), first_nos=None, fleet_size=4, rate_hz=1.0, seconds=None):
    first_nos = first_nos or [1] * len(vehicles)
    return Schedule.from_rate(vehicles, first_nos, fleet_size=fleet_size, rate_hz=rate_hz, seconds=seconds)


def test_fleet_is_spread_evenly():
    """1,000 vehicles at 1 Hz send one reading a millisecond."""
    fleet = schedule(range(1_000), fleet_size=1_000)
    assert [fleet.offset_us(reading) for reading in (0, 1, 2, 999, 1_000)] == [0, 1_000, 2_000, 999_000, S]


def test_numbering_counts_up_by_one():
    """Each vehicle's readings continue its numbering, a period apart."""
    due = schedule((0, 2, 3), [11, 21, 31]).readings(0, 7)
    assert due.vehicles.tolist() == [0, 2, 3, 0, 2, 3, 0]
    assert due.reading_nos.tolist() == [11, 21, 31, 12, 22, 32, 13]
    assert due.offsets_us.tolist() == [0, S // 2, 3 * S // 4, S, 3 * S // 2, 7 * S // 4, 2 * S]


@given(
    st.integers(1, 60).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), min_size=1))
    ),
    st.floats(0.01, 200),
    st.integers(0, 100 * S),
)
def test_due_readings_are_due_by_then(fleet, rate_hz, elapsed_us):
    """At any time, all readings scheduled before it are due, and none scheduled after it."""
    size, vehicles = fleet
    one = schedule(sorted(vehicles), fleet_size=size, rate_hz=rate_hz)
    due = one.count_due(elapsed_us)
    # A reading falls due in whole microseconds.
    assert not due or one.offset_us(due - 1) <= elapsed_us + 1
    assert one.offset_us(due) >= elapsed_us
    offsets_us = one.readings(0, min(due, 500) + 1).offsets_us
    assert np.all(np.diff(offsets_us) >= 0)
    assert offsets_us.tolist() == [one.offset_us(reading) for reading in range(len(offsets_us))]


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 60), st.integers(1, 8))
def test_partitions_share_the_fleet(size, rate_hz, seconds, partitions):
    """A run of S seconds has rate · S readings of every vehicle, over all partitions."""
    total = sum(
        schedule(range(partition, size, partitions), fleet_size=size, rate_hz=rate_hz, seconds=seconds).total
        for partition in range(partitions)
        if partition < size
    )
    assert total == size * rate_hz * seconds


def test_run_ends():
    """A run of 2 s has no reading due before its start, and no more after its end."""
    run = schedule(seconds=2.0)
    assert run.total == 6
    assert [run.count_due(at) for at in (-1, 0, 2 * S, 100 * S)] == [0, 1, 6, 6]
    assert schedule(seconds=0.0).total == 0


def test_single_readings_do_not_wait():
    """A single reading is ready when it is due."""
    single, one = Packing(1, 20_000), schedule()
    assert single.count_ready(one, 0, one.count_due(0), 0) == 1
    assert single.next_ready_us(one, 1) == one.offset_us(1)


def test_pack_waits_no_longer_than_its_linger():
    """A pack is ready when it is full; a partial pack, once its first reading has lingered."""
    packing, fleet = Packing(10, 20_000), schedule(range(1_000), fleet_size=1_000)
    assert packing.count_ready(fleet, 0, fleet.count_due(8_000), 8_000) == 0
    assert packing.count_ready(fleet, 0, fleet.count_due(9_000), 9_000) == 10
    assert packing.count_ready(fleet, 0, fleet.count_due(25_000), 25_000) == 20
    assert packing.next_ready_us(fleet, 0) == 9_000
    slow = schedule(range(100), fleet_size=100)
    assert packing.count_ready(slow, 0, slow.count_due(19_999), 19_999) == 0
    assert packing.count_ready(slow, 0, slow.count_due(20_000), 20_000) == 3
    assert packing.next_ready_us(slow, 0) == 20_000


def test_last_pack_does_not_wait():
    """The last readings of a run are ready at once, even if their pack is not full."""
    packing, run = Packing(10, 60 * S), schedule(seconds=2.0)
    assert packing.count_ready(run, 0, run.count_due(2 * S), 2 * S) == 6
    assert packing.next_ready_us(run, 0) == run.offset_us(5)


@pytest.mark.parametrize("rate_hz", [0.001, 3, 7.5, 1_000])
def test_any_rate_keeps_its_count(rate_hz):
    """After n periods every vehicle has had n readings, at any rate."""
    fleet = schedule(range(4), rate_hz=rate_hz)
    assert fleet.count_due(int(1_000 * S / rate_hz) + 1) in (4_001, 4_000)
