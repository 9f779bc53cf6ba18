import json

import pytest
from msgspec.structs import replace

from services.cli.verify.verdict import Counts, Verdict

SOUND = Counts(
    sent=4,
    landed=4,
    missing=0,
    doubled=0,
    out_of_order=0,
    dead_lettered=1,
    predicted=4,
    predictions_missing=0,
    predictions_doubled=0,
    predictions_doubled_raw=2,
    latency_ms={"p50": 31.2, "p95": None, "p99": None},
    files=2,
    events=5,
)


def test_raw_doubles_and_dead_letters_are_no_fault():
    """Predictions that readers drop and bodies that senders sent bad are counted, but are no fault."""
    assert Verdict(SOUND).is_clean


@pytest.mark.parametrize(
    "wrong", ["missing", "doubled", "out_of_order", "predictions_missing", "predictions_doubled"]
)
def test_one_of_anything_wrong_is_not_clean(wrong):
    """A single lost, doubled or disordered reading or prediction fails the run."""
    assert not Verdict(replace(SOUND, **{wrong: 1})).is_clean


def test_a_fault_without_a_count_is_not_clean():
    """A broken chain fails the run although every count is fine; only the first faults are shown."""
    verdict = Verdict(SOUND, faults=tuple(map(str, range(30))))
    assert not verdict.is_clean
    assert list(verdict.fault_lines())[-1] == "and 10 more"


def test_the_object_is_the_promised_one():
    """Machines find the promised fields, in this order, and nothing else."""
    assert tuple(json.loads(Verdict(SOUND).json())) == Counts.__struct_fields__
    assert " ".join(Counts.__struct_fields__) == (
        "sent landed missing doubled out_of_order dead_lettered predicted predictions_missing "
        "predictions_doubled predictions_doubled_raw latency_ms files events replayed waiting "
        "predictions_waiting"
    )


def test_people_read_a_table():
    """The table holds the counts in words, and the verdict last."""
    lines = Verdict(SOUND, notes=("a note",)).table().splitlines()
    assert "missing 0" in lines[0]
    assert "p50 31.2 ms" in lines[5]
    assert lines[-1].endswith("nothing lost, nothing doubled, in order")
