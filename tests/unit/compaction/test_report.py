"""What a pass says it did."""

import json

from services.compaction.report import Outcome, as_json, as_table

DONE = Outcome("telemetry", 240, 48_000, 4, 1_670_000, 0, 3)


def test_machines_read_one_object():
    """One JSON object a pass, with every stream in it."""
    said = json.loads(as_json([DONE]))
    assert said["event"] == "compacted"
    assert said["streams"][0]["raw_files"] == 240


def test_people_read_a_table():
    """A line a stream; what is left is explained."""
    table = as_table([DONE], 3_600)
    assert "240" in table
    assert "left for later:" not in table
    left = as_table([DONE, Outcome("predictions", waiting_files=5)], 3_600)
    assert "younger than 3600 s (--older-than 0 takes them)" in left


def test_nothing_landed():
    """An empty lake is told as such."""
    assert "nothing has landed yet" in as_table([], 3_600)
