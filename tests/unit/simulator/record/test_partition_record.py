from datetime import UTC, datetime

import pytest

from services.simulator.record import partition_record
from services.simulator.record.folder import RecordFolder
from services.simulator.record.partition_record import (
    BadBodyRecord,
    BadIntent,
    Intent,
    PartitionRecord,
)
from services.simulator.record.record_file import RecordFile
from shared.service.errors import NeedsAttention

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def intent(number, readings, seed=7):
    return Intent(number, 41 + number, seed, AT, readings, [1_000 * place for place in range(len(readings))])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "p00.ndjson"


@pytest.fixture
def reopen(path):
    """Open the record as a new process does."""
    files = []

    def open_again():
        files.append(RecordFile(path))
        return PartitionRecord(files[-1])

    yield open_again
    for file in files:
        file.__exit__(None, None, None)


def test_record_has_the_documented_format(path, reopen):
    """The record's lines are as documented; `fleetprice verify` depends on them."""
    one = reopen()
    one.intend(intent(0, [(3, 1), (4, 9)]))
    one.ack()
    assert path.read_bytes() == (
        b'{"intent":0,"position":41,"seed":7,"first_at":"2026-01-05T08:00:00Z",'
        b'"readings":[[3,1],[4,9]],"after_us":[0,1000]}\n'
        b'{"acked":0}\n'
    )


def test_numbering_continues_after_a_restart(reopen):
    """After a restart, intents and each vehicle's readings are numbered on from the record, per seed."""
    one = reopen()
    for number, readings in enumerate(([(3, 1), (4, 1)], [(3, 2)])):
        one.intend(intent(number, readings))
        one.ack()
    one.intend(intent(2, [(3, 5)], seed=8))
    one.ack()
    again = reopen()
    assert again.next_intent == 3
    assert again.last_reading_nos == {7: {3: 2, 4: 1}, 8: {3: 5}}
    assert again.unresolved is None


def test_unacknowledged_intent_is_unresolved(reopen):
    """An intent without an acknowledgement is unresolved until it is acknowledged."""
    one = reopen()
    one.intend(intent(0, [(3, 1)]))
    again = reopen()
    assert again.unresolved == intent(0, [(3, 1)])
    again.ack()
    assert reopen().unresolved is None


@pytest.mark.parametrize("kept", [1, 10, 60, -1])
def test_torn_line_is_cut(path, reopen, kept):
    """A line that a crash cut short is removed, and the next one starts on a line of its own."""
    one = reopen()
    one.intend(intent(0, [(3, 1)]))
    one.ack()
    whole = path.read_bytes()
    one.intend(intent(1, [(3, 2)]))
    torn = path.read_bytes()[len(whole) :][:kept]
    path.write_bytes(whole + torn)
    again = reopen()
    assert path.read_bytes() == whole
    assert (again.next_intent, again.unresolved) == (1, None)
    again.intend(intent(1, [(3, 2)]))
    assert reopen().unresolved == intent(1, [(3, 2)])


def test_record_of_one_torn_line_is_empty(path, reopen):
    """A first line that was cut short leaves an empty record, even if the line is long."""
    path.write_bytes(b'{"intent":0,"readings":[' + b"[1,2]," * 50_000)
    assert reopen().next_intent == 0
    assert path.stat().st_size == 0


def test_snapshot_is_only_a_cache(path, reopen, monkeypatch):
    """With its snapshot, without it, or with one that does not fit, the record is the same."""
    monkeypatch.setattr(partition_record, "SNAPSHOT_EVERY_BYTES", 1_000)
    one = reopen()
    for number in range(100):
        one.intend(intent(number, [(number % 7, 1 + number // 7)]))
        one.ack()
    one.intend(intent(100, [(2, 15)]))
    snapshot = path.with_suffix(".snapshot.json")
    assert snapshot.exists()

    def read_state():
        again = reopen()
        return again.next_intent, again.unresolved, dict(again.last_reading_nos)

    with_snapshot = read_state()
    assert with_snapshot[0] == 101
    body = snapshot.read_bytes()
    snapshot.write_bytes(body.replace(b'"size_bytes":', b'"size_bytes":1'))
    assert read_state() == with_snapshot
    snapshot.write_bytes(body[:-5])
    assert read_state() == with_snapshot
    snapshot.unlink()
    assert read_state() == with_snapshot


def test_start_reads_only_what_follows_the_snapshot(path, reopen, monkeypatch):
    """A long record does not slow a start: the part covered by the snapshot is not read again."""
    monkeypatch.setattr(partition_record, "SNAPSHOT_EVERY_BYTES", 1)
    one = reopen()
    one.intend(intent(0, [(3, 1)]))
    one.ack()
    size = path.stat().st_size
    path.write_bytes(b"x" * (size - 1) + b"\n")
    assert reopen().last_reading_nos == {7: {3: 1}}


def test_foreign_file_is_refused(path, reopen):
    """A whole line that the simulator did not write raises an error that names the remedy."""
    path.write_bytes(b'{"something": "else"}\n')
    with pytest.raises(NeedsAttention, match="move it away"):
        reopen()


def test_bad_bodies_are_recorded_apart(path):
    """Bad bodies have intents and acknowledgements of their own."""
    with RecordFile(path) as file:
        bad = BadBodyRecord(file)
        bad.intend(BadIntent(0, 41, 7, 3))
        bad.ack()
        bad.intend(BadIntent(1, 44, 7, 2))
    assert path.read_bytes() == (
        b'{"bad_intent":0,"position":41,"seed":7,"count":3}\n{"bad_acked":0}\n'
        b'{"bad_intent":1,"position":44,"seed":7,"count":2}\n'
    )
    with RecordFile(path) as file:
        again = BadBodyRecord(file)
    assert again.unresolved == BadIntent(1, 44, 7, 2)
    assert again.next_intent == 2


def test_two_simulators_do_not_share_a_record(tmp_path):
    """A second simulator on the same folder is refused until the first has ended."""
    with RecordFolder(tmp_path), pytest.raises(NeedsAttention, match="another fleetprice simulator"):
        RecordFolder(tmp_path).__enter__()
    with RecordFolder(tmp_path) as folder:
        folder.open_records(0)
        assert sorted(path.name for path in folder.path.glob("*.ndjson")) == ["bad-p00.ndjson", "p00.ndjson"]
