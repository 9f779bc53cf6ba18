import resource

import msgspec
import pytest

from services.emulator.log.annotations import ENQUEUED_TIME, OFFSET, SEQUENCE_NUMBER
from services.emulator.log.partition_log import PartitionLog
from services.emulator.log.records import HEADER_BYTES, scan_records
from shared.amqp import encoder as amqp
from shared.amqp.decoder import decode


def event(text):
    return (b"", b"", 0, amqp.described(0x75, amqp.binary(text.encode())))


def events(count, start=0):
    return [event(f"event {number}") for number in range(start, start + count)]


def contents(log):
    """(sequence number, offset, body) of all that a reader from the beginning gets."""
    found = []
    offset = log.begin_offset
    while (chunk := log.read(offset, 1000)) is not None:
        for mark in scan_records(chunk.data):
            message = chunk.data[mark.position + HEADER_BYTES : mark.end]
            annotations, body_at = decode(message)
            body, _ = decode(message, body_at)
            entries = annotations.value
            assert entries[SEQUENCE_NUMBER] == mark.sequence_number
            assert int(entries[OFFSET]) == chunk.offset + mark.position
            assert entries[ENQUEUED_TIME] == mark.enqueued_ms
            found.append((mark.sequence_number, entries[OFFSET], body.value.decode()))
            offset = chunk.offset + mark.end
    return found


def numbers(log):
    return [number for number, _, _ in contents(log)]


def newest(directory):
    return max(directory.glob("*.log"))


def test_events_are_served_as_written(tmp_path):
    """A reader gets every event once, in order, with its sequence number, offset and time."""
    log = PartitionLog(tmp_path)
    log.append(events(10), 1000)
    log.append(events(5, start=10), 2000)
    assert [(number, body) for number, _, body in contents(log)] == [(n, f"event {n}") for n in range(15)]
    assert log.state().last_offset == contents(log)[-1][1]
    log.close()


def test_a_new_partition_is_empty(tmp_path):
    """An empty partition begins at 0, ends at -1 and has no last time."""
    log = PartitionLog(tmp_path)
    assert log.state() == (0, -1, "-1", None, True)
    assert log.read(0, 100) is None
    log.close()


def test_an_event_longer_than_the_chunk_comes_whole(tmp_path):
    """A large event is served although it is longer than what is read at once."""
    log = PartitionLog(tmp_path)
    log.append([event("x" * 5000)], 1)
    assert contents(log)[0][2] == "x" * 5000
    log.close()


def test_a_killed_process_leaves_everything(tmp_path):
    """After a kill -9 all events are there, and numbering continues without a gap."""
    killed = PartitionLog(tmp_path)
    killed.append(events(100), 1000)
    killed.abandon()
    log = PartitionLog(tmp_path)
    assert numbers(log) == list(range(100))
    log.append(events(1), 1000)
    assert log.next_sequence == 101
    log.close()


def test_segments_are_one_log(tmp_path):
    """Readers and restarts do not notice where one file ends and the next begins."""
    log = PartitionLog(tmp_path, segment_bytes=500)
    for start in range(0, 100, 5):
        log.append(events(5, start), 1000 + start)
    assert len(log.segments) > 10
    before = contents(log)
    assert [number for number, _, _ in before] == list(range(100))
    log.abandon()
    log = PartitionLog(tmp_path, segment_bytes=500)
    assert contents(log) == before
    log.close()


def test_a_lost_index_is_made_again(tmp_path):
    """A segment without its index, or with a broken one, is scanned instead."""
    log = PartitionLog(tmp_path, segment_bytes=500)
    for start in range(0, 50, 5):
        log.append(events(5, start), 1000)
    log.close()
    first, second = sorted(tmp_path.glob("*.index"))[:2]
    first.unlink()
    second.write_bytes(b"broken")
    log = PartitionLog(tmp_path, segment_bytes=500)
    assert numbers(log) == list(range(50))
    log.close()


def test_old_events_expire_and_the_beginning_moves(tmp_path):
    """After retention the first number is the one that a reader from the beginning really gets."""
    log = PartitionLog(tmp_path, segment_bytes=500)
    for start in range(0, 100, 5):
        log.append(events(5, start), start * 100)
    log.expire(now_ms=10_000, max_age_ms=5_000, max_bytes=None)
    begin = log.state().begin_sequence_number
    assert 30 < begin <= 50
    assert numbers(log) == list(range(begin, 100))
    assert log.read(0, 100).offset == log.begin_offset
    log.close()


def test_size_is_kept_to(tmp_path):
    """A partition above its size limit lets its oldest events go."""
    log = PartitionLog(tmp_path, segment_bytes=500)
    for start in range(0, 100, 5):
        log.append(events(5, start), 1000)
    log.expire(now_ms=1000, max_age_ms=10**9, max_bytes=3000)
    assert log.size_bytes <= 3000
    assert numbers(log)[-1] == 99
    log.close()


def test_an_emptied_partition_remembers_where_it_was(tmp_path):
    """When all events have expired, numbers continue after the last one, restarts included."""
    log = PartitionLog(tmp_path)
    log.append(events(10), 1000)
    last = log.state()
    log.expire(now_ms=10**9, max_age_ms=1000, max_bytes=None)
    for emptied in (log, None):
        log = emptied or PartitionLog(tmp_path)
        assert log.state() == (10, 9, last.last_offset, 1000, True)
        assert log.read(0, 100) is None
        log.abandon()
    log = PartitionLog(tmp_path)
    log.append([event("next")], 10**9)
    assert [(number, body) for number, _, body in contents(log)] == [(10, "next")]
    log.close()


def test_a_full_disk_refuses_and_harms_nothing(tmp_path):
    """On a full disk the batch is refused as a whole, and the log continues when there is room."""
    log = PartitionLog(tmp_path)
    log.append(events(10), 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.size_bytes + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            log.append(events(10, start=10), 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert numbers(log) == list(range(10))
    log.append([event("room again")], 1000)
    log.abandon()
    log = PartitionLog(tmp_path)
    assert numbers(log) == list(range(11))
    log.close()


def test_times_never_go_back(tmp_path):
    """A clock that is set back only holds the enqueued time still."""
    log = PartitionLog(tmp_path)
    log.append(events(1), 5000)
    log.append(events(1), 4000)
    assert log.state().last_enqueued_ms == 5000
    log.close()


def test_waiting_readers_are_woken_once(tmp_path):
    """An append wakes each waiting reader once; it must wait again."""
    log = PartitionLog(tmp_path)
    woken = []
    log.wait(lambda: woken.append("first"))
    stays = lambda: woken.append("never")  # noqa: E731
    log.wait(stays)
    log.stop_waiting(stays)
    log.append(events(1), 1)
    log.append(events(1), 1)
    assert woken == ["first"]
    log.close()


def test_the_marks_are_readable(tmp_path):
    """The reservation on disk is above every number that was given out."""
    log = PartitionLog(tmp_path)
    log.append(events(3), 1)
    raw = msgspec.json.decode((tmp_path / "marks.json").read_bytes())
    assert raw["reserved_sequence"] >= log.next_sequence
    log.close()
