"""One file of a partition's log, named for where it begins: `<first sequence number>-<first offset>.log`."""

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from services.emulator.event_hubs.records import HEADER_BYTES, RecordMark, marks
from services.emulator.event_hubs.sparse_index import STRIDE_BYTES, SparseIndex

_DIGITS = 20


class Segment:
    """Positions are bytes from this file's start; an event's offset is `base_offset` plus its position."""

    def __init__(self, path: Path, index: SparseIndex, size_bytes: int) -> None:
        first_sequence, first_offset = path.stem.split("-")
        self.path = path
        self.base_sequence = int(first_sequence)
        self.base_offset = int(first_offset)
        self.index = index
        self.size_bytes = size_bytes
        self.last: RecordMark | None = None
        self.is_sealed = False
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @classmethod
    def create(cls, directory: Path, base_sequence: int, base_offset: int) -> "Segment":
        path = directory / f"{base_sequence:0{_DIGITS}d}-{base_offset:0{_DIGITS}d}.log"
        path.touch(exist_ok=True)
        sync_directory(directory)
        return cls(path, SparseIndex(), 0)

    @classmethod
    def open_sealed(cls, path: Path) -> "Segment | None":
        """A segment whose index says that all of it was made durable; None where it must be recovered."""
        index = SparseIndex.load(path.with_suffix(".index"))
        if index is None:
            return None
        segment = cls(path, index, path.stat().st_size)
        last = next(segment.records(index.positions[-1]), None)
        if last is None or last.end != segment.size_bytes:
            segment.close()
            return None
        segment.last = last
        segment.is_sealed = True
        return segment

    @classmethod
    def recover(cls, path: Path) -> tuple["Segment", int]:
        """The segment up to its last whole and undamaged record, and how many bytes were cut behind it."""
        size = path.stat().st_size
        segment = cls(path, SparseIndex(), 0)
        if size:
            with mmap.mmap(segment._fd, size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                segment._index_records(view)
        if cut := size - segment.size_bytes:
            segment.truncate(segment.size_bytes)
        return segment, cut

    def _index_records(self, view: memoryview) -> None:
        expected = self.base_sequence
        for mark in marks(view, verify=True):
            if mark.sequence_number != expected:
                return
            expected += 1
            if self.index.is_due(mark.position):
                self.index.note(mark.sequence_number, mark.position, mark.enqueued_ms)
            self.last = mark
            self.size_bytes = mark.end

    @property
    def end_offset(self) -> int:
        return self.base_offset + self.size_bytes

    @property
    def next_sequence(self) -> int:
        return self.last.sequence_number + 1 if self.last else self.base_sequence

    @property
    def first_ms(self) -> int | None:
        return self.index.times_ms[0] if self.index.times_ms else None

    def append(self, data: bytes, first: RecordMark, last: RecordMark) -> None:
        """All of `data` or nothing: where the disk refuses, the file is as it was. Raises OSError."""
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._fd, memoryview(data)[written:], self.size_bytes + written)
        except OSError:
            # Only tidiness: the next append overwrites what is there, and recovery would cut it.
            with contextlib.suppress(OSError):
                self.truncate(self.size_bytes)
            raise
        if self.index.is_due(first.position):
            self.index.note(first.sequence_number, first.position, first.enqueued_ms)
        self.size_bytes += len(data)
        self.last = last

    def read(self, position: int, size: int) -> bytes:
        return os.pread(self._fd, size, position)

    def records(self, position: int) -> Iterator[RecordMark]:
        """The records from `position`, the start of one, to the end."""
        while position < self.size_bytes:
            chunk = self.read(position, min(STRIDE_BYTES, self.size_bytes - position))
            done = 0
            for mark in marks(chunk):
                done = mark.end
                yield RecordMark(position + mark.position, position + done, *mark[2:])
            if not done:
                # The record is longer than the chunk: its header is enough to step over it.
                length = int.from_bytes(chunk[:4], "big")
                done = HEADER_BYTES + length
                header = chunk[4:20]
                yield RecordMark(
                    position,
                    position + done,
                    int.from_bytes(header[:8], "big"),
                    int.from_bytes(header[8:], "big"),
                )
            position += done

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._fd, size_bytes)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def seal(self) -> None:
        """Make all of it durable, then say so by its index: the next start does not scan it.

        Slow, and safe to run beside readers: nothing is appended to this segment or its index any more.
        """
        self.sync()
        self.index.save(self.path.with_suffix(".index"))
        self.is_sealed = True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def delete(self) -> None:
        self.close()
        self.path.with_suffix(".index").unlink(missing_ok=True)
        self.path.unlink()


def sync_directory(directory: Path) -> None:
    """Make the names of files in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
