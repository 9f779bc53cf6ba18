from pathlib import Path

from services.chaos.campaign import Campaign, Total
from services.chaos.settings import ChaosSettings

VERDICT = {
    "sent": 10,
    "landed": 10,
    "missing": 0,
    "doubled": 0,
    "out_of_order": 0,
    "dead_lettered": 1,
    "predicted": 10,
    "predictions_missing": 0,
    "predictions_doubled": 0,
    "events": 11,
    "files": 3,
    "complete": True,
    "faults": {"swept": 2},
}


def campaign(schedules):
    return Campaign(ChaosSettings(schedules=schedules), Path(), lambda _event: None)


def test_a_total_sums_what_its_runs_counted():
    """One line says how much was tried, by kind."""
    total = Total()
    total.add(VERDICT)
    total.add({**VERDICT, "faults": {"swept": 1, "compacted": 4}})
    assert (total.sums["events"], total.sums["missing"]) == (22, 0)
    assert total.faults == {"swept": 3, "compacted": 4}


def test_a_run_that_has_not_seen_every_kind_does_not_count():
    """Clean runs are asked for in which everything happened; with too few of them there is no success."""
    two = campaign(schedules=2)
    for _ in range(4):
        assert not two.is_over
        two.total.add({**VERDICT, "complete": False})
    assert two.is_over
    assert not two.is_clean


def test_the_first_failure_ends_a_campaign():
    """A person then wants to look at that one."""
    two = campaign(schedules=2)
    two.total.failed_seed = 7
    assert two.is_over
    assert not two.is_clean
