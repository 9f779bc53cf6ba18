from collections import Counter

import pytest

from services.cli.chaos.schedule import FIRST_AT_S, Kind, draw_shape, plan_faults

SEEDS = range(50)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_a_seed_is_a_schedule(seed):
    """The same seed and length give the same faults at the same times, and the same kind of load."""
    assert plan_faults(seed, 20) == plan_faults(seed, 20)
    assert draw_shape(seed) == draw_shape(seed)


def test_another_seed_is_another_schedule():
    """No two seeds try the same."""
    assert len({plan_faults(seed, 20) for seed in SEEDS}) == len(SEEDS)
    assert {draw_shape(seed).pack for seed in SEEDS} == {1, 10, 50}


@pytest.mark.parametrize("seconds", [5, 20, 60, 600])
def test_every_kind_is_in_every_schedule(seconds):
    """However short the run, each kind of fault is planned; in a long one none much more than another."""
    for seed in SEEDS:
        planned = Counter(fault.kind for fault in plan_faults(seed, seconds))
        assert planned.keys() == set(Kind)
        assert max(planned.values()) - min(planned.values()) <= 1


@pytest.mark.parametrize("seconds", [5, 20, 60])
def test_faults_come_in_order_while_the_fleet_sends(seconds):
    """Nothing is planned for before the load or after it."""
    times = [fault.at_s for seed in SEEDS for fault in plan_faults(seed, seconds)]
    assert min(times) >= FIRST_AT_S
    assert max(times) < seconds
    for seed in SEEDS:
        planned = plan_faults(seed, seconds)
        assert sorted(planned, key=lambda fault: fault.at_s) == list(planned)


def test_a_straggler_is_stopped_early():
    """Retention needs most of a short run to overtake a stopped writer."""
    for seed in SEEDS:
        first = min(fault.at_s for fault in plan_faults(seed, 20) if fault.kind is Kind.RETENTION_OVERTOOK)
        assert first <= 2
