import contextlib
import resource
from pathlib import Path

import pytest

from services.emulator.event_hubs.start_positions import StartPosition, find_offset
from services.emulator.log.files import OpenFiles
from services.emulator.log.partition_log import PartitionLog
from services.emulator.log.records import scan_records
from shared.amqp import encoder as amqp
from shared.amqp.refusal import Refusal

SEGMENT_BYTES = 300


def events(count, padding=0):
    return [(b"", b"", 0, amqp.described(0x75, amqp.binary(b"." * padding)))] * count


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def never(_work):
    """Background work never runs, as on a full disk or after a kill."""


def attempt(work):
    """As the server does it: what fails is done another time."""
    with contextlib.suppress(OSError):
        work()


def fill(directory, count=20, **options):
    """A log of several segments, an event every 100 ms."""
    log = PartitionLog(directory, segment_bytes=SEGMENT_BYTES, **options)
    for number in range(count):
        log.append(events(1), 100 * number)
    assert len(log.segments) > 4
    return log


def numbers(log):
    found = []
    offset = log.begin_offset
    while (chunk := log.read(offset, 1000)) is not None:
        whole = list(scan_records(chunk.data))
        found += [mark.sequence_number for mark in whole]
        offset = chunk.offset + whole[-1].end
    return found


@contextlib.contextmanager
def full_disk(room_bytes=0):
    """No file grows beyond so much while the block lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_was_never_sealed_expires_too(tmp_path, is_restarted):
    """A segment whose index could not be written is given up like any other, and makes room."""
    log = fill(tmp_path, in_background=never)
    if is_restarted:
        log.abandon()
        log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES, in_background=never)
    log.expire(10_000, 9_000, None)
    assert 0 < log.state().begin_sequence_number <= 10
    assert numbers(log) == list(range(log.state().begin_sequence_number, 20))
    log.expire(1900, 10**6, 700)
    assert log.size_bytes <= 700
    assert numbers(log)[-1] == 19
    log.close()


def test_a_full_disk_does_not_hold_retention_up(tmp_path):
    """On a disk that takes nothing more old events still go, which is what makes room again."""
    log = fill(tmp_path, in_background=attempt)
    with full_disk():
        with pytest.raises(OSError, match="too large"):
            log.append(events(1), 2000)
        log.expire(10**9, 1000, None)
        assert log.state().is_empty
    assert not list(tmp_path.glob("*.log"))
    assert log.state()[:2] == (20, 19)
    log.append(events(1), 10**9)
    log.abandon()
    log = PartitionLog(tmp_path)
    assert numbers(log) == [20]
    log.close()


@pytest.mark.parametrize("room_bytes", range(0, 1400, 100))
def test_wherever_the_disk_ends_the_log_goes_on(tmp_path, room_bytes):
    """An append that finds no room leaves no trace, whichever of its files could not grow."""
    log = PartitionLog(tmp_path)
    accepted = 0
    with full_disk(room_bytes):
        for _ in range(10):
            with contextlib.suppress(OSError):
                log.append(events(1, padding=40), 1)
                accepted += 1
    assert accepted < 10
    assert numbers(log) == list(range(accepted))
    log.append(events(2), 1)
    log.abandon()
    log = PartitionLog(tmp_path)
    assert numbers(log) == list(range(accepted + 2))
    log.close()


def test_a_full_disk_does_not_keep_a_log_from_ending(tmp_path):
    """A log that cannot record its clean end still closes, and continues at the next start."""
    log = fill(tmp_path)
    with full_disk():
        log.close()
    log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES)
    log.append(events(1), 5000)
    assert numbers(log) == list(range(21))
    log.close()


def test_many_logs_share_few_descriptors(tmp_path):
    """The number of open files is bounded, however many partitions there are."""
    files = OpenFiles(limit=5)
    before = open_descriptors()
    logs = [PartitionLog(tmp_path / str(number), files=files, segment_bytes=100) for number in range(20)]
    assert not list(tmp_path.rglob("*.log"))
    for _ in range(3):
        for log in logs:
            log.append(events(1), 1)
            assert open_descriptors() <= before + 5
    for log in logs:
        assert numbers(log) == [0, 1, 2]
        log.abandon()
    assert open_descriptors() == before


def test_hundreds_of_segments_are_one_log(tmp_path):
    """In a log of many segments any number and time is found, before and after a restart."""
    log = PartitionLog(tmp_path, segment_bytes=1, in_background=never)
    for number in range(400):
        log.append(events(1), 10 * number)
    for again in (False, True):
        if again:
            log.abandon()
            log = PartitionLog(tmp_path, segment_bytes=1, in_background=never)
        assert len(log.segments) >= 400
        for position in (
            StartPosition("x-opt-sequence-number", is_inclusive=True, value="300"),
            StartPosition("x-opt-enqueued-time", is_inclusive=False, value="2999"),
        ):
            chunk = log.read(find_offset(position, log), 10)
            assert next(scan_records(chunk.data)).sequence_number == 300
    log.expire(4000, 10**9, log.size_bytes // 2)
    assert 190 < log.state().begin_sequence_number < 210
    assert log.state().last_sequence_number == 399
    log.abandon()


def test_a_place_that_retention_took_is_where_the_log_begins(tmp_path):
    """A reader behind what is kept is given the oldest that is, wherever it was."""
    log = fill(tmp_path)
    log.expire(10_000, 9_000, None)
    begin = log.state().begin_sequence_number
    for wanted in ("0", str(begin - 1)):
        position = StartPosition("x-opt-sequence-number", is_inclusive=True, value=wanted)
        assert find_offset(position, log) == log.begin_offset
    with pytest.raises(Refusal):
        find_offset(StartPosition("x-opt-sequence-number", is_inclusive=True, value="1000"), log)
    log.close()


def test_a_clock_that_runs_backwards_harms_nothing(tmp_path):
    """When the clock is set back, times stand still, also over a restart, and nothing expires by mistake."""
    log = fill(tmp_path)
    log.abandon()
    log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES)
    log.append(events(1), 5)
    assert log.state().last_enqueued_ms == 1900
    log.expire(5, 1000, None)
    assert numbers(log) == list(range(21))
    log.close()
