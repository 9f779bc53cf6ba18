import shutil

import pytest

from services.emulator.log import marks as log_marks
from services.emulator.log.annotations import OFFSET, SEQUENCE_NUMBER, encode_records
from services.emulator.log.partition_log import PartitionLog
from services.emulator.log.records import scan_records
from shared.amqp import encoder as amqp
from shared.amqp.decoder import decode

COUNT = 12
SEGMENT_BYTES = 300


def events(count, start=0, padding=0):
    bodies = (f"event {number}".encode() + b"." * padding for number in range(start, start + count))
    return [(b"", b"", 0, amqp.described(0x75, amqp.binary(body))) for body in bodies]


def read_served(log):
    """{sequence number: (offset, body)} of what a reader from the beginning is sent, damage skipped."""
    found = {}
    for record in log.records():
        annotations, body_at = decode(record.message)
        body, _ = decode(record.message, body_at)
        assert record.sequence_number not in found
        assert annotations.value[SEQUENCE_NUMBER] == record.sequence_number
        assert annotations.value[OFFSET] == str(record.offset)
        found[record.sequence_number] = (record.offset, body.value)
    return found


def written(directory):
    """A log with events in several segments, left as a kill -9 leaves it, and what it has served."""
    log = PartitionLog(directory, segment_bytes=SEGMENT_BYTES)
    for start in range(0, COUNT, 2):
        log.append(events(2, start), 1000 + start)
    before = read_served(log)
    assert list(before) == list(range(COUNT))
    assert len(log.segments) > 2
    log.abandon()
    return before


def reopen(directory, before):
    """The log after a restart; held to its promises about what it served before."""
    log = PartitionLog(directory, segment_bytes=SEGMENT_BYTES)
    after = read_served(log)
    assert after.items() <= before.items()
    state = log.state()
    if after:
        assert (state.last_sequence_number, state.last_offset) == (max(after), str(after[max(after)][0]))
        assert state.begin_sequence_number <= min(after)
    assert log.next_sequence >= COUNT
    log.append(events(1, start=777), 5000)
    number, (offset, body) = read_served(log).popitem()
    assert number >= COUNT
    assert offset > max(offset for offset, _ in before.values())
    assert body == b"event 777"
    log.abandon()
    again = PartitionLog(directory, segment_bytes=SEGMENT_BYTES)
    assert read_served(again) == after | {number: (offset, body)}
    again.abandon()
    return after


def another_boot(tmp_path, monkeypatch):
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another boot")
    monkeypatch.setattr(log_marks, "_BOOT_ID", boot_id)


@pytest.mark.parametrize("torn_bytes", [1, 10, 30, 100])
def test_a_torn_append_leaves_no_trace(tmp_path, torn_bytes):
    """An append that the kill cut short was never served: it is cut off, and numbering has no gap."""
    log = PartitionLog(tmp_path)
    log.append(events(10), 1000)
    log.abandon()
    torn = encode_records(events(1, start=10), 10, log.end_offset, 1000).data[:torn_bytes]
    with next(tmp_path.glob("*.log")).open("ab") as file:
        file.write(torn)
    log = PartitionLog(tmp_path)
    log.append(events(1, start=10), 1000)
    assert [body for _, body in read_served(log).values()] == [b"event %d" % number for number in range(11)]
    assert list(read_served(log)) == list(range(11))
    log.close()


def test_an_unanswered_append_is_kept_whole(tmp_path):
    """An event that was written whole before the kill is served, although its sender was not answered."""
    before = written(tmp_path)
    end = max(tmp_path.glob("*.log"))
    offset = int(end.stem.split("-")[1]) + end.stat().st_size
    with end.open("ab") as file:
        file.write(encode_records(events(2, start=COUNT), COUNT, offset, 3000).data)
    log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert list(read_served(log)) == [*before, COUNT, COUNT + 1]
    log.close()


@pytest.mark.parametrize("suffix", ["log", "index", "rows", "tail", "json"])
def test_files_cut_anywhere_lose_no_number(tmp_path, suffix):
    """Wherever a file ends too early, what is left of the events is served and their numbers are used up."""
    before = written(tmp_path / "whole")
    files = [path for path in (tmp_path / "whole").iterdir() if path.name.endswith(suffix)]
    for number, file in enumerate(files):
        for size in sorted({0, 1, file.stat().st_size // 3, file.stat().st_size - 1}):
            copy = tmp_path / f"{number}-{size}"
            shutil.copytree(tmp_path / "whole", copy)
            (copy / file.name).write_bytes(file.read_bytes()[:size])
            after = reopen(copy, before)
            if suffix != "log":
                assert after == before


@pytest.mark.parametrize("pattern", ["*.log", "*.index", "*.rows", "tail", "marks.json"])
def test_deleted_files_lose_no_number(tmp_path, pattern):
    """Without any one of its files a log still never uses a number twice."""
    before = written(tmp_path / "whole")
    for file in (tmp_path / "whole").glob(pattern):
        copy = tmp_path / file.name.replace(".", "-")
        shutil.copytree(tmp_path / "whole", copy)
        (copy / file.name).unlink()
        after = reopen(copy, before)
        if pattern != "*.log":
            assert after == before


@pytest.mark.parametrize("has_indexes", [True, False])
def test_a_flipped_bit_costs_its_event_alone(tmp_path, has_indexes):
    """Whichever bit of whichever segment flips, every other event is served as it was sent."""
    before = written(tmp_path / "whole")
    if not has_indexes:
        for index in [*(tmp_path / "whole").glob("*.index"), *(tmp_path / "whole").glob("*.rows")]:
            index.unlink()
    for file in sorted((tmp_path / "whole").glob("*.log")):
        for position in range(3, file.stat().st_size, 61):
            copy = tmp_path / f"{file.stem}-{position}"
            shutil.copytree(tmp_path / "whole", copy)
            raw = bytearray(file.read_bytes())
            raw[position] ^= 1 << position % 8
            (copy / file.name).write_bytes(raw)
            # A record whose header alone is damaged may still be served.
            assert COUNT - 1 <= len(reopen(copy, before)) <= COUNT


def test_garbage_does_not_hold_readers_up(tmp_path):
    """If a length is damaged while the log is open, readers continue after it."""
    log = PartitionLog(tmp_path)
    log.append(events(10, padding=200), 1000)
    path = next(tmp_path.glob("*.log"))
    with path.open("r+b") as file:
        file.seek([mark.position for mark in scan_records(path.read_bytes())][4])
        file.write(b"\x7f\xff\xff\xff")
    assert list(read_served(log)) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert list(read_served(log)) == [0, 1, 2, 3]
    log.close()


def test_a_power_cut_uses_up_numbers_and_offsets(tmp_path, monkeypatch):
    """After a power cut nothing is numbered, nor stands, where a lost event was served from."""
    before = written(tmp_path / "log")
    newest = max((tmp_path / "log").glob("*.log"))
    newest.write_bytes(newest.read_bytes()[:1])
    # A file that is not durable may also have its content of long ago.
    (tmp_path / "log" / "tail").write_bytes(b"")
    another_boot(tmp_path, monkeypatch)
    reopen(tmp_path / "log", before)


def test_a_power_cut_makes_every_segment_be_looked_at(tmp_path, monkeypatch):
    """Rows that were written while events came in are not believed once the machine went down."""
    log = PartitionLog(tmp_path / "log")
    for start in range(0, 40, 10):
        log.append(events(10, start, padding=10_000), 1000)
    log.abandon()
    path = next((tmp_path / "log").glob("*.log"))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] + bytes(size - size // 2))
    another_boot(tmp_path, monkeypatch)
    log = PartitionLog(tmp_path / "log")
    assert path.stat().st_size < size
    assert list(read_served(log)) == list(range(len(read_served(log))))
    assert log.next_sequence >= 40
    log.close()


def test_without_a_boot_id_no_start_is_trusted(tmp_path, monkeypatch):
    """If the system has no boot id, numbers skip ahead after every end that was not clean."""
    monkeypatch.setattr(log_marks, "_BOOT_ID", tmp_path / "nothing")
    log = PartitionLog(tmp_path / "log")
    log.append(events(3), 1)
    log.abandon()
    log = PartitionLog(tmp_path / "log")
    assert log.next_sequence > 1000
    assert log.state().last_sequence_number == 2
    log.append(events(1), 1)
    log.close()
    reached = log.next_sequence
    log = PartitionLog(tmp_path / "log")
    assert log.next_sequence == reached
    log.close()


def test_leftovers_are_swept_up(tmp_path):
    """Scratch files and indexes of segments that are gone do not pile up; foreign files are left alone."""
    before = written(tmp_path)
    for name in ("x.index-new", "marks.json-new", f"{9:020d}-{9:020d}.index", f"{9:020d}-{9:020d}.rows"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "notes.log").write_text("mine")
    log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert read_served(log) == before
    assert not list(tmp_path.glob("*-new"))
    assert not list(tmp_path.glob(f"{9:020d}*"))
    assert (tmp_path / "notes.log").exists()
    log.close()


def test_empty_files_are_no_segments(tmp_path):
    """Segments of zero length, wherever they stand, change nothing and do not hold retention up."""
    before = written(tmp_path)
    (tmp_path / f"{0:020d}-{0:020d}.index").unlink()
    for number, offset in ((3, 450), (COUNT, 10**9)):
        (tmp_path / f"{number:020d}-{offset:020d}.log").touch()
    log = PartitionLog(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert read_served(log) == before
    log.expire(10**9, 1000, None)
    assert log.state().is_empty
    assert log.next_sequence == COUNT
    log.close()


def test_the_next_start_reads_little(tmp_path):
    """After a kill -9 not even the open segment is scanned: a long one opens as fast as a short one."""
    log = PartitionLog(tmp_path)
    for start in range(0, 4000, 500):
        log.append(events(500, start, padding=1000), 1000)
    log.abandon()
    path = next(tmp_path.glob("*.log"))
    with path.open("r+b") as file:
        # A scan would find this.
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff")
    log = PartitionLog(tmp_path)
    assert log.next_sequence == 4000
    assert log.state().last_sequence_number == 3999
    assert len(read_served(log)) == 3999
    log.close()
