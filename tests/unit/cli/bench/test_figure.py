"""A figure names its unit of measure, and its load always lands whole."""

import pytest

from services.cli.bench.figure import Lap, compare_laps, percentile
from services.cli.bench.hub_load import Load, round_batches

OURS = [Lap(1_000, 2.0, 1.0), Lap(1_000, 20.0, 1.25), Lap(1_000, 2.5, 1.0)]
FLOORS = [Lap(1_000, 1.0, 0.5), Lap(1_000, 1.0, 0.8), Lap(1_000, 5.0, 0.8)]


def test_what_has_its_cores_to_itself_is_measured_by_the_clock():
    """One slow lap changes nothing: the median counts."""
    one = compare_laps("ingest_json", OURS, FLOORS, 1, has_own_cores=True)
    assert (one.rate, one.floor, one.ratio, one.unit) == (400.0, 1_000.0, 0.4, "readings/s")
    assert (
        compare_laps("http_single", OURS, FLOORS, 1, has_own_cores=True, of="requests").unit == "requests/s"
    )


def test_if_servers_share_the_cores_processor_time_counts():
    """Ours and the floor are then compared by the CPU time that they used."""
    one = compare_laps("ingest_two_workers", OURS, FLOORS, 2, has_own_cores=False)
    assert (one.rate, one.floor, one.ratio, one.unit) == (1_000.0, 1_250.0, 0.8, "readings/CPU s")
    assert (one.cpu_rate, one.cpu_floor, one.cores) == (one.rate, one.floor, 2)


def test_a_percentile_is_interpolated():
    """It lies proportionally between the two nearest values."""
    assert [percentile(range(101), percent) for percent in (1, 50, 99)] == [1, 50, 99]
    assert percentile([10.0, 20.0], 99) == pytest.approx(19.9)


@pytest.mark.parametrize("batches", [1, 2, 3, 80, 150, 233, 1_200, 10_007])
@pytest.mark.parametrize(("pack", "events"), [(1, 2_500), (200, 10), (500, 4)])
def test_every_reading_of_a_load_lands_whatever_its_size(batches, pack, events):
    """All files close by their row count: none stays open for an hour, none is larger than memory allows."""
    load = Load("any", "application/json", pack, events, round_batches(events * pack, batches))
    assert batches <= load.batches <= batches + load.files_a_partition
    assert load.batches % load.files_a_partition == 0
    assert load.files_a_partition >= 2
    assert load.rows_a_partition / load.files_a_partition <= 150_000
