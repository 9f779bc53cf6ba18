"""The append-only log of one partition: written once, read by offset, cut at its old end.

Nothing of an event stays in memory. An event's offset is the byte at which its record begins.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from services.emulator.event_hubs.annotations import Event, encoded_records
from services.emulator.event_hubs.log_marks import RESERVATION, LogMarks, current_boot_id
from services.emulator.event_hubs.records import HEADER_BYTES, RecordMark
from services.emulator.event_hubs.segment import Segment
from shared.log_events import EventLog

log = EventLog(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
# A quiet partition's segment is closed by age, or its first event would hold all the later ones back.
_SEGMENTS_PER_AGE = 4
# No append is longer than a batch with its annotations; more than this behind the last good record is no torn
# append but damage, and then numbers that were served may be missing.
_LONGEST_APPEND_BYTES = 16 * 1024 * 1024


class Chunk(NamedTuple):
    """Whole and perhaps one unfinished record, from `offset` on."""

    offset: int
    data: bytes


class PartitionState(NamedTuple):
    """`last_enqueued_ms` is None while the partition never held an event."""

    begin_sequence_number: int
    last_sequence_number: int
    last_offset: str
    last_enqueued_ms: int | None
    is_empty: bool


class PartitionLog:
    """`in_background` runs slow work (fdatasync) elsewhere; by default it is done on the spot."""

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        in_background: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._in_background = in_background
        self._waiting: set[Callable[[], None]] = set()
        directory.mkdir(parents=True, exist_ok=True)
        marks = LogMarks.load(directory)
        self._segments, cut_bytes = _recovered(directory)
        self._next_sequence = self._segments[-1].next_sequence
        is_whole = marks.boot_id in {"", current_boot_id()} and cut_bytes <= _LONGEST_APPEND_BYTES
        if not is_whole and marks.reserved_sequence > self._next_sequence:
            self._next_sequence = marks.reserved_sequence
            self._start_segment()
        self._reserved_sequence = self._next_sequence
        last = next((segment for segment in reversed(self._segments) if segment.last), None)
        self._last_offset, self._last_ms = marks.last_offset, marks.last_enqueued_ms
        if last is not None and last.last is not None:
            self._last_offset = str(last.base_offset + last.last.position)
            self._last_ms = last.last.enqueued_ms
        self._bases = [segment.base_offset for segment in self._segments]

    @property
    def end_offset(self) -> int:
        return self._segments[-1].end_offset

    @property
    def begin_offset(self) -> int:
        return self._segments[0].base_offset

    @property
    def next_sequence(self) -> int:
        return self._next_sequence

    @property
    def segments(self) -> Sequence[Segment]:
        return self._segments

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    def state(self) -> PartitionState:
        first = next((segment for segment in self._segments if segment.last), None)
        return PartitionState(
            begin_sequence_number=first.base_sequence if first else self._next_sequence,
            last_sequence_number=self._next_sequence - 1,
            last_offset=self._last_offset,
            last_enqueued_ms=self._last_ms,
            is_empty=first is None,
        )

    def append(self, events: Sequence[Event], now_ms: int) -> None:
        """Write all events, or none where the disk refuses (OSError); then wake the waiting readers."""
        if not events:
            return
        self._reserve(len(events))
        if self._segments[-1].size_bytes >= self._segment_bytes:
            self.roll()
        segment = self._segments[-1]
        # Times never go down, so that seeking by time can bisect; a clock set back only holds them still.
        enqueued_ms = max(now_ms, self._last_ms or 0)
        first_sequence, last_sequence = self._next_sequence, self._next_sequence + len(events) - 1
        start, base = segment.end_offset, segment.base_offset
        records = encoded_records(events, first_sequence, start, enqueued_ms)
        first = RecordMark(start - base, 0, first_sequence, enqueued_ms)
        end = start - base + len(records.data)
        last = RecordMark(records.last_offset - base, end, last_sequence, enqueued_ms)
        segment.append(records.data, first, last)
        self._next_sequence += len(events)
        self._last_offset, self._last_ms = str(records.last_offset), enqueued_ms
        self._wake()

    def read(self, offset: int, max_bytes: int) -> Chunk | None:
        """Up to `max_bytes` of one segment from `offset`, or from where the log now begins; None at its end.

        At least one whole record: a longer one than `max_bytes` comes alone.
        """
        segment = self._segments[max(0, bisect_right(self._bases, offset) - 1)]
        offset = max(offset, segment.base_offset)
        if offset >= segment.end_offset:
            following = bisect_right(self._bases, offset)
            if following == len(self._segments):
                return None
            segment = self._segments[following]
            offset = segment.base_offset
            if segment.size_bytes == 0:
                return None
        position = offset - segment.base_offset
        data = segment.read(position, min(max_bytes, segment.size_bytes - position))
        needed = HEADER_BYTES + int.from_bytes(data[:4], "big")
        if needed > len(data):
            data = segment.read(position, needed)
        return Chunk(offset, data)

    def wait(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, at the next append."""
        self._waiting.add(wake)

    def stop_waiting(self, wake: Callable[[], None]) -> None:
        self._waiting.discard(wake)

    def _wake(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for wake in waiting:
                wake()

    def sync(self) -> None:
        """Make all that was appended durable; may run beside appends."""
        for segment in self._segments[:]:
            if not segment.is_sealed:
                segment.sync()

    def roll(self) -> None:
        """Go on in a new segment; the old one is made durable meanwhile."""
        full = self._segments[-1]
        if full.last is not None:
            full.index.finish(full.last)
            self._start_segment()
            self._in_background(full.seal)

    def expire(self, now_ms: int, max_age_ms: int, max_bytes: int | None) -> None:
        """Give up whole segments from the old end while one is too old, or all are too large."""
        active = self._segments[-1]
        if active.first_ms is not None and now_ms - active.first_ms >= max_age_ms // _SEGMENTS_PER_AGE:
            self.roll()
        while len(self._segments) > 1 and (oldest := self._segments[0]).is_sealed and oldest.last is not None:
            is_old = now_ms - oldest.last.enqueued_ms > max_age_ms
            is_over = max_bytes is not None and self.size_bytes > max_bytes
            if not is_old and not is_over:
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        # The newest segment always stays: its name carries the next number.
        self._save_marks(current_boot_id(), self._reserved_sequence)
        self._segments.pop(0).delete()
        self._bases.pop(0)
        log.info("segment_expired", partition=str(self.directory), begins=self.state().begin_sequence_number)

    def close(self) -> None:
        """Make everything durable; the next start then trusts it."""
        self.sync()
        self._save_marks("", self._reserved_sequence)
        for segment in self._segments:
            segment.close()

    def abandon(self) -> None:
        """Let go of the files of a deleted hub."""
        for segment in self._segments:
            segment.close()

    def _reserve(self, count: int) -> None:
        if self._next_sequence + count > self._reserved_sequence:
            reserved = self._next_sequence + count + RESERVATION
            self._save_marks(current_boot_id(), reserved)
            self._reserved_sequence = reserved

    def _save_marks(self, boot_id: str, reserved_sequence: int) -> None:
        LogMarks(reserved_sequence, boot_id, self._last_offset, self._last_ms).save(self.directory)

    def _start_segment(self) -> None:
        base_offset = self._segments[-1].end_offset if self._segments else 0
        self._segments.append(Segment.create(self.directory, self._next_sequence, base_offset))
        self._bases = [segment.base_offset for segment in self._segments]


def _recovered(directory: Path) -> tuple[list[Segment], int]:
    """The segments of `directory`, at least one, and the most bytes that had to be cut from any."""
    segments = []
    cut_most = 0
    paths = sorted(directory.glob("*.log"))
    for path in paths:
        segment = Segment.open_sealed(path) if path != paths[-1] else None
        if segment is None:
            segment, cut = Segment.recover(path)
            cut_most = max(cut_most, cut)
            if cut:
                log.warning("torn_record_cut", file=str(path), cut_bytes=cut)
        segments.append(segment)
    return segments or [Segment.create(directory, 0, 0)], cut_most
