import json

import pytest

from services.cli.verify.fleet_record import read_fleet_record
from services.cli.verify.keys import VehicleCodes, make_key
from shared.service.errors import NeedsAttention


def write(path, *facts, torn=""):
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts) + torn)


def intent(number, *readings, seed=7):
    return {"intent": number, "position": -1, "seed": seed, "first_at": "2026-03-01T00:00:00Z",
            "readings": readings, "after_us": [0] * len(readings)}  # fmt: skip


def test_sent_is_what_was_acknowledged(tmp_path):
    """An intent counts once its acknowledgement is on record; without it, it is unresolved."""
    write(tmp_path / "p00.ndjson", intent(0, [0, 1], [1, 1]), {"acked": 0}, intent(1, [0, 2]))
    codes = VehicleCodes()
    record = read_fleet_record(tmp_path, codes)
    vehicles = codes.code("s7-v000000"), codes.code("s7-v000001")
    assert record.sent.tolist() == [make_key(vehicle, 1) for vehicle in vehicles]
    assert record.unresolved.tolist() == [make_key(vehicles[0], 2)]


def test_an_intent_acknowledged_by_a_later_run_is_sent(tmp_path):
    """An intent that the next run found in the hub counts like any other, in order or not."""
    write(tmp_path / "p00.ndjson", intent(0, [0, 1]), intent(1, [0, 2]), {"acked": 1}, {"acked": 0})
    record = read_fleet_record(tmp_path, VehicleCodes())
    assert (len(record.sent), len(record.unresolved)) == (2, 0)


def test_vehicles_of_two_seeds_are_two(tmp_path):
    """The second run with another seed has vehicles of its own."""
    write(tmp_path / "p00.ndjson", intent(0, [0, 1]), {"acked": 0}, intent(1, [0, 1], seed=8), {"acked": 1})
    assert len(read_fleet_record(tmp_path, VehicleCodes()).sent) == 2


def test_a_torn_last_line_is_no_fact(tmp_path):
    """A line cut by a kill is ignored."""
    write(tmp_path / "p00.ndjson", intent(0, [0, 1]), torn='{"acked": 0}')
    record = read_fleet_record(tmp_path, VehicleCodes())
    assert (len(record.sent), len(record.unresolved)) == (0, 1)


def test_bad_bodies_are_counted_apart(tmp_path):
    """Bodies that were bad on purpose are no readings."""
    facts = [{"bad_intent": 0, "position": 1, "seed": 7, "count": 3}, {"bad_acked": 0}]
    write(tmp_path / "bad-p00.ndjson", *facts, {"bad_intent": 1, "position": 2, "seed": 7, "count": 2})
    record = read_fleet_record(tmp_path, VehicleCodes())
    assert (len(record.sent), record.bad_sent) == (0, 3)


def test_without_a_record_nothing_was_sent(tmp_path):
    """If only other senders sent, the fleet sent nothing."""
    assert len(read_fleet_record(tmp_path / "simulator", VehicleCodes()).sent) == 0


def test_a_file_that_is_no_record_is_refused(tmp_path):
    """Text that cannot be decoded is not skipped."""
    (tmp_path / "p00.ndjson").write_text("hello\n")
    with pytest.raises(NeedsAttention, match="move it away"):
        read_fleet_record(tmp_path, VehicleCodes())
