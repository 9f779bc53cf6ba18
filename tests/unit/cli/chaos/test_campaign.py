import json
from pathlib import Path

from services.cli.chaos.campaign import Campaign, Total
from services.cli.chaos.fault_counts import NEEDED
from services.cli.chaos.settings import ChaosSettings

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
    "predictions_doubled_raw": 0,
    "waiting": 0,
    "predictions_waiting": 0,
    "stuck": [],
    "events": 11,
    "files": 3,
    "complete": True,
    "faults": dict.fromkeys(NEEDED, 0) | {"swept": 2},
}


def campaign(schedules, reported=None):
    settings = ChaosSettings(schedules=schedules)
    return Campaign(settings, Path(), (lambda _event: None) if reported is None else reported.append)


def end(campaign, seed, code=0, **changes):
    """Note the end of the run of this seed."""
    line = json.dumps({**VERDICT, "seed": seed, **changes}).encode()
    campaign.note(seed, code, line, ["fleetprice: something is wrong, everything is in DIR"], took_s=40)


def test_a_total_sums_what_its_runs_counted():
    """One line holds all counts and the faults by kind."""
    total = Total()
    total.add(VERDICT)
    total.add({**VERDICT, "faults": {"swept": 1, "compacted": 4}})
    assert (total.sums["events"], total.sums["missing"]) == (22, 0)
    assert {kind: times for kind, times in total.faults.items() if times} == {"swept": 3, "compacted": 4}


def test_a_run_that_has_not_seen_every_kind_does_not_count():
    """Success needs enough clean runs in which every kind of fault happened."""
    two = campaign(schedules=2)
    for seed in range(4):
        assert not two.is_over
        end(two, seed, complete=False)
    assert two.is_over
    assert not two.is_clean


def test_a_campaign_goes_on_after_a_failed_seed():
    """The others are still run; at the end it has failed, and names the seeds and what was wrong."""
    reported = []
    three = campaign(schedules=3, reported=reported)
    end(three, 1)
    end(three, 2, code=1, missing=7)
    assert not three.is_over
    end(three, 3)
    assert three.is_over
    assert not three.is_clean
    assert [one["event"] for one in reported] == ["clean", "failed", "clean"]
    assert (reported[1]["seed"], reported[1]["missing"]) == (2, 7)
    assert "DIR" in reported[1]["said"]
    total = json.loads(three.total.as_json())
    assert (total["schedules"], total["runs"], total["failed_seeds"]) == (2, 3, [2])
    assert (total["sent"], total["missing"]) == (30, 7)


def test_a_run_without_a_verdict_has_failed():
    """A run that was killed, or whose verification was, fails: its last line is an event, or empty."""
    for line in (b"", b'{"event":"draining"}\n'):
        one = campaign(schedules=1)
        one.note(5, 1, line, [], took_s=3)
        assert one.total.failed_seeds == [5]


def test_enough_clean_runs_are_a_success():
    """As many complete runs as requested, and none that failed."""
    two = campaign(schedules=2)
    for seed in (1, 2):
        assert not two.is_clean
        end(two, seed)
    assert two.is_over
    assert two.is_clean
