"""One file of a partition's log, named after its start: `<first sequence number>-<first offset>.log`.

Its sparse index is stored beside it: in `.rows` while events are appended, in `.index` once everything is
durable.
"""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from services.emulator.log.files import LogFile, OpenFiles, sync_file
from services.emulator.log.records import HEADER_BYTES, RecordMark, find_record, scan_records
from services.emulator.log.sparse_index import ROW_BYTES, STRIDE_BYTES, SparseIndex
from shared.service.atomic_file import sync_directory

NAME = re.compile(r"(\d{20})-(\d{20})\.log", re.ASCII)
# No message is that long, so a longer record is damaged.
_MAX_RECORD_BYTES = 16 * 1024 * 1024
# The bytes searched at once behind damage; most records fit into the overlap of two searches.
_SEARCH_BYTES = 4 * 1024 * 1024


class Segment:
    """A file of records.

    Positions are bytes from the start of the file; position 0 has the offset `base_offset` in the log.
    """

    def __init__(self, path: Path, files: OpenFiles) -> None:
        """Make a segment without events; the file is created by the first write."""
        first_sequence, first_offset = path.stem.split("-")
        self.path = path
        self.base_sequence = int(first_sequence)
        self.base_offset = int(first_offset)
        self.index = SparseIndex()
        self.size_bytes = 0
        self.last: RecordMark | None = None
        self.is_sealed = False
        self._file = LogFile(path, files)
        self._rows = LogFile(path.with_suffix(".rows"), files)
        self._keeps_rows = True
        self._has_leftovers = False
        self._synced_bytes = 0
        self._is_seal_claimed = False
        # Held while a thread seals this segment, so that it is not deleted meanwhile.
        self._sealing = threading.Lock()
        self._is_gone = False

    @classmethod
    def create(cls, directory: Path, base_sequence: int, base_offset: int, files: OpenFiles) -> "Segment":
        return cls(directory / f"{base_sequence:020d}-{base_offset:020d}.log", files)

    @classmethod
    def open_sealed(cls, path: Path, files: OpenFiles) -> "Segment | None":
        """Open a segment whose saved index shows that it is complete and durable.

        Return None if there is no such index, so that the segment must be recovered.
        """
        index = SparseIndex.load(path.with_suffix(".index"))
        if index is None:
            return None
        segment = cls(path, files)
        segment.index = index
        segment.size_bytes = path.stat().st_size
        last = next(segment.records(index.positions[-1]), None)
        if last is None or last.end != segment.size_bytes or last.position != index.positions[-1]:
            segment.close()
            return None
        segment.last = last
        segment.is_sealed = True
        return segment

    @classmethod
    def recover(cls, path: Path, files: OpenFiles, *, trusts_rows: bool) -> tuple["Segment", int]:
        """Return the segment up to its last undamaged record, and how many bytes after it were cut off.

        With `trusts_rows`, only what follows the last valid row of the index is scanned. Damaged records
        before undamaged ones stay in the file, and readers skip them.
        """
        segment = cls(path, files)
        segment.size_bytes = path.stat().st_size
        start = segment._trusted_position() if trusts_rows else 0
        trusted_rows = len(segment.index)
        end, expected = start, segment.base_sequence
        for mark in segment.records(start):
            if mark.sequence_number < expected:
                break
            segment.last, end, expected = mark, mark.end, mark.sequence_number + 1
            if segment.index.is_due(mark.position):
                segment.index.note(mark)
        cut_bytes, segment.size_bytes = segment.size_bytes - end, end
        if cut_bytes:
            segment._file.truncate(end)
        segment._save_rows(trusted_rows)
        return segment, cut_bytes

    def _trusted_position(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            self.index = SparseIndex.from_rows(self._rows.path.read_bytes())
        while self.index.positions:
            position, number = self.index.positions[-1], self.index.sequence_numbers[-1]
            mark = next(self.records(position), None)
            if mark is not None and (mark.position, mark.sequence_number) == (position, number):
                return position
            self.index.drop_last()
        return 0

    @property
    def end_offset(self) -> int:
        return self.base_offset + self.size_bytes

    @property
    def next_sequence(self) -> int:
        return self.last.sequence_number + 1 if self.last else self.base_sequence

    @property
    def first_ms(self) -> int | None:
        return self.index.times_ms[0] if self.index.times_ms else None

    def is_before(self, enqueued_ms: int) -> bool:
        """Return whether the segment has a last event and that event is older than `enqueued_ms`."""
        return self.last is not None and self.last.enqueued_ms < enqueued_ms

    def write(self, data: bytes) -> None:
        """Write `data` after the last record; the data counts only once `accept` is called.

        Raises OSError if the file cannot be written.
        """
        if self._has_leftovers:
            self._file.truncate(self.size_bytes)
            self._has_leftovers = False
        self._file.write(data, self.size_bytes)

    def discard_unaccepted(self) -> None:
        """Cut off the data that was written and not accepted; if that fails, the next write does it."""
        try:
            self._file.truncate(self.size_bytes)
        except OSError:
            # What is left could look like events after a shorter write, so it is cut before the next write.
            self._has_leftovers = True

    def accept(self, first: RecordMark, last: RecordMark) -> None:
        """Count the written data as part of the segment;

        `first` and `last` are its first and last records.
        """
        if self.index.is_due(first.position):
            self.index.note(first)
            self._save_rows(len(self.index) - 1)
        self.size_bytes = last.end
        self.last = last

    def _save_rows(self, start: int) -> None:
        if self._keeps_rows:
            try:
                self._rows.write(self.index.rows(start), start * ROW_BYTES)
                self._rows.truncate(len(self.index) * ROW_BYTES)
            except OSError:
                # Fewer rows are better than rows with a gap: the next start scans from the last valid one.
                self._keeps_rows = False

    def read(self, position: int, max_bytes: int) -> bytes:
        """Return up to `max_bytes` from `position` on.

        The result holds at least the whole record at `position`, unless that record is damaged.
        """
        room = self.size_bytes - position
        data = self._file.read(position, min(max_bytes, room))
        needed = HEADER_BYTES + int.from_bytes(data[:4], "big")
        if len(data) < needed <= min(room, _MAX_RECORD_BYTES):
            data = self._file.read(position, needed)
        return data

    def records(self, position: int) -> Iterator[RecordMark]:
        """Yield the undamaged records from `position` to the end; a record must begin at `position`."""
        while position < self.size_bytes:
            start = end = position
            for mark in scan_records(self.read(start, STRIDE_BYTES)):
                end = start + mark.end
                yield RecordMark(start + mark.position, end, mark.sequence_number, mark.enqueued_ms)
            position = end if end > start else self.skip_damage(start)

    def skip_damage(self, position: int) -> int:
        """Return the position of the next undamaged record after the damaged one at `position`.

        Return the end of the segment if there is none.
        """
        position += 1
        while position < self.size_bytes:
            data = self._file.read(position, min(_SEARCH_BYTES, self.size_bytes - position))
            found = find_record(data, 0)
            if found is not None:
                return position + found
            position += _SEARCH_BYTES // 2
        return self.size_bytes

    @property
    def is_synced(self) -> bool:
        return self.is_sealed or self._synced_bytes == self.size_bytes

    def sync(self) -> None:
        """Make everything accepted so far durable; safe in a thread while appends and reads go on."""
        size_bytes = self.size_bytes
        if size_bytes <= self._synced_bytes:
            return
        try:
            sync_file(self.path)
            if not self._synced_bytes:
                sync_directory(self.path.parent)
        except FileNotFoundError:
            if not self._is_gone:
                raise
        self._synced_bytes = size_bytes

    def sync_rows(self) -> None:
        if self._keeps_rows and len(self.index):
            sync_file(self._rows.path)

    def seal(self) -> None:
        """Make everything durable and save the index, so that the next start does not scan the segment.

        This is slow, but safe in a thread, because nothing is appended to the segment any more.
        """
        with self._sealing:
            try:
                if not self.is_sealed and not self._is_gone:
                    self.sync()
                    self.index.save(self.path.with_suffix(".index"))
                    self._rows.path.unlink(missing_ok=True)
                    self.is_sealed = True
            finally:
                self._is_seal_claimed = False

    @property
    def is_being_sealed(self) -> bool:
        return self._sealing.locked()

    def finish(self) -> None:
        """Complete the index, because nothing will be appended to the segment any more."""
        if self.last is not None:
            self.index.finish(self.last)
        self._rows.close()

    def claim_seal(self) -> bool:
        """Return whether the caller must call `seal`.

        Once this has returned true, it returns false until that call of `seal` has ended, and for good if it
        succeeded.
        """
        is_wanted = not (self.is_sealed or self._is_seal_claimed)
        self._is_seal_claimed = True
        return is_wanted

    def close(self) -> None:
        self._file.close()
        self._rows.close()

    def release(self) -> None:
        """Wait until no thread is sealing the file, then close it for good."""
        with self._sealing:
            self._is_gone = True
        self.close()

    def delete(self) -> None:
        self.release()
        for suffix in (".log", ".index", ".rows"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
