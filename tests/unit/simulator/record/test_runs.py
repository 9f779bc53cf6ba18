from datetime import UTC, datetime, timedelta

import pytest

from services.simulator.record.runs import Run, find_run, read_runs, refuse_other_hub, remaining_s, write_runs
from shared.service.errors import HubRecreated, NeedsAttention

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def run(run_id="", started_at=AT, hub_created_at=AT):
    return Run(run_id, 7, 100, 1.0, 1, started_at, hub_created_at)


def test_runs_are_kept(tmp_path):
    """The list of runs is read back as written."""
    path = tmp_path / "fleet.json"
    assert read_runs(path) == []
    write_runs(path, [run("a"), run("b")])
    assert read_runs(path) == [run("a"), run("b")]
    path.write_text("{}")
    with pytest.raises(NeedsAttention, match="move it away"):
        read_runs(path)


def test_named_run_continues():
    """A process restarted under the newest run's name continues it; any other process is a new run."""
    assert find_run([run("a"), run("b")], "b") == run("b")
    assert find_run([run("b"), run("a")], "b") is None
    assert find_run([run("")], "") is None
    assert find_run([], "b") is None


def test_restart_does_not_prolong_the_run():
    """A run of 60 s that dies after 20 s and restarts after 25 s has 35 s left."""
    assert remaining_s(60, None, AT) == 60
    assert remaining_s(60, run("a"), AT + timedelta(seconds=25)) == 35
    assert remaining_s(60, run("a"), AT + timedelta(hours=1)) == 0
    assert remaining_s(0, run("a"), AT) is None


def test_record_of_another_hub_is_refused(tmp_path):
    """A hub created at another time than the record's hub raises HubRecreated."""
    refuse_other_hub([], AT, tmp_path)
    refuse_other_hub([run()], AT, tmp_path)
    with pytest.raises(HubRecreated, match="--data"):
        refuse_other_hub([run()], AT + timedelta(seconds=1), tmp_path)
