"""The report of a pass."""

import json

from services.compaction.report import Outcome, as_json, as_table

DONE = Outcome("telemetry", 240, 48_000, 4, 1_670_000, 0, 3)


def test_machines_read_one_object():
    """One JSON object a pass, with every stream in it."""
    report = json.loads(as_json([DONE]))
    assert report["event"] == "compacted"
    assert report["streams"][0]["raw_files"] == 240


def test_people_read_a_table():
    """The table has a line per stream, and explains which files wait."""
    table = as_table([DONE], 3_600)
    assert "240" in table
    assert "left for later:" not in table
    left = as_table([DONE, Outcome("predictions", waiting_files=5)], 3_600)
    assert "younger than 3600 s (--older-than 0 takes them)" in left


def test_nothing_landed():
    """The report of an empty lake says so."""
    assert "nothing has landed yet" in as_table([], 3_600)
