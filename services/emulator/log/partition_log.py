"""The append-only log of one partition: it is read by offset, and its oldest segments are deleted.

No event is kept in memory. An event's offset is the position in the log of the first byte of its record.
"""

import errno
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from services.emulator.log.annotations import Event, encode_records
from services.emulator.log.files import OpenFiles
from services.emulator.log.marks import Reservation, Tail, TailFile
from services.emulator.log.records import HEADER_BYTES, RecordMark, scan_records
from services.emulator.log.recovery import recover
from services.emulator.log.segment import Segment
from shared.service.log_events import EventLog

log = EventLog(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
# A quiet partition's segment is closed by age, or its last event would keep all the earlier ones.
_SEGMENTS_PER_AGE = 4
_SCAN_BYTES = 1 << 20


class Chunk(NamedTuple):
    """Bytes of the log from `offset` on: at least one whole record, unless that record is damaged."""

    offset: int
    data: bytes


class StoredRecord(NamedTuple):
    """An event as it is served, with its annotations."""

    offset: int
    sequence_number: int
    enqueued_ms: int
    message: bytes


class Damage(NamedTuple):
    """Damaged records: the numbers of the events that are lost, and the offset of the next undamaged record.

    `is_news` is false if the damage was found before.
    """

    first_sequence_number: int
    next_sequence_number: int
    next_offset: int
    is_news: bool


class PartitionState(NamedTuple):
    """The properties of a partition; `last_enqueued_ms` is None if the partition never held an event."""

    begin_sequence_number: int
    last_sequence_number: int
    last_offset: str
    last_enqueued_ms: int | None
    is_empty: bool


class PartitionLog:
    """The log of one partition: its segments on disk, opened and recovered."""

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        in_background: Callable[[Callable[[], None]], None] = lambda work: work(),
        files: OpenFiles | None = None,
    ) -> None:
        """Open the log in `directory`; create it if it is missing, and recover it otherwise.

        `in_background` runs slow work (fdatasync); by default, the work runs at once in the caller. Logs that
        are given the same `files` share its limit of open files.
        """
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._in_background = in_background
        self._files = files or OpenFiles()
        self._waiting: set[Callable[[], None]] = set()
        directory.mkdir(parents=True, exist_ok=True)
        self._tail_file = TailFile(directory, self._files)
        found = recover(directory, self._files, self._tail_file, in_background)
        self._segments, self._tail = found.segments, found.tail
        self._bases = [segment.base_offset for segment in self._segments]
        self._reservation = Reservation(directory, found.marks, self._tail_file)
        self._damages: dict[int, Damage] = {}
        self._is_refusing = self._is_abandoned = False

    @property
    def end_offset(self) -> int:
        return self._segments[-1].end_offset

    @property
    def begin_offset(self) -> int:
        return self._segments[0].base_offset

    @property
    def next_sequence(self) -> int:
        return self._tail.next_sequence

    @property
    def segments(self) -> Sequence[Segment]:
        return self._segments

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    def state(self) -> PartitionState:
        oldest, tail = self._segments[0], self._tail
        is_empty = oldest.last is None
        return PartitionState(
            begin_sequence_number=tail.next_sequence if is_empty else oldest.base_sequence,
            last_sequence_number=tail.last_sequence,
            last_offset=str(tail.last_offset),
            last_enqueued_ms=None if tail.last_sequence < 0 else tail.last_enqueued_ms,
            is_empty=is_empty,
        )

    def append(self, events: Sequence[Event], now_ms: int) -> None:
        """Write all events and wake the waiting readers.

        Raises OSError if the disk cannot take all of them; the log is then unchanged.
        """
        if not events:
            return
        if self._segments[-1].size_bytes >= self._segment_bytes:
            self.roll()
        segment = self._segments[-1]
        start, base, first_sequence = segment.end_offset, segment.base_offset, self._tail.next_sequence
        # Times never decrease, so that seeking by time can bisect; a clock set back repeats the last time.
        enqueued_ms = max(now_ms, self._tail.last_enqueued_ms)
        records = encode_records(events, first_sequence, start, enqueued_ms)
        end, last_sequence = start + len(records.data), first_sequence + len(events) - 1
        tail = Tail(last_sequence + 1, end, last_sequence, records.last_offset, enqueued_ms)
        try:
            self._write(records.data, tail)
        except OSError as exc:
            if not self._is_refusing:
                log.warning("log_cannot_grow", directory=str(self.directory), reason=exc.strerror)
            self._is_refusing = True
            raise
        self._is_refusing = False
        first = RecordMark(start - base, 0, first_sequence, enqueued_ms)
        segment.accept(first, RecordMark(records.last_offset - base, end - base, last_sequence, enqueued_ms))
        self._tail = tail
        self._wake()

    def _write(self, data: bytes, tail: Tail) -> None:
        """Write `data`, which extends the log up to `tail`.

        Raises OSError if that fails, and leaves the log unchanged.
        """
        if self._is_abandoned:
            # The directory may belong to another hub now.
            raise FileNotFoundError(errno.ENOENT, "The log was deleted")
        self._reservation.cover(tail, self._tail)
        try:
            self._segments[-1].write(data)
            # No reader is served before this is written, so that after a kill the log knows what was served.
            self._tail_file.save(tail)
        except OSError:
            self._segments[-1].discard_unaccepted()
            raise

    def read(self, offset: int, max_bytes: int) -> Chunk | None:
        """Return the log from `offset` on, or None at the end of the log.

        The chunk holds up to `max_bytes`, or more if the first record alone is longer.
        """
        offset = max(offset, self.begin_offset)
        following = bisect_right(self._bases, offset)
        segment = self._segments[following - 1]
        if offset >= segment.end_offset:
            if following == len(self._segments) or self._segments[following].last is None:
                return None
            segment = self._segments[following]
            offset = segment.base_offset
        return Chunk(offset, segment.read(offset - segment.base_offset, max_bytes))

    def records(self) -> Iterator[StoredRecord]:
        """Yield the retained undamaged records, oldest first."""
        offset = self.begin_offset
        while (chunk := self.read(offset, _SCAN_BYTES)) is not None:
            offset = chunk.offset
            for mark in scan_records(chunk.data):
                message = chunk.data[mark.position + HEADER_BYTES : mark.end]
                yield StoredRecord(
                    chunk.offset + mark.position, mark.sequence_number, mark.enqueued_ms, message
                )
                offset = chunk.offset + mark.end
            if offset == chunk.offset:
                offset = self.find_damage(offset).next_offset

    def find_damage(self, offset: int) -> Damage:
        """Describe the damage that begins at `offset`, so that reading continues behind it."""
        known = self._damages.get(offset)
        if known is not None:
            return known._replace(is_news=False)
        segment = self._segments[bisect_right(self._bases, offset) - 1]
        position = offset - segment.base_offset
        first = segment.base_sequence
        # The index may name the damaged record itself, so the scan begins before it.
        for mark in segment.records(segment.index.before_position(position - 1)):
            if mark.position >= position:
                break
            first = mark.sequence_number + 1
        end = segment.skip_damage(position)
        after = next(segment.records(end), None)
        following = segment.next_sequence if after is None else after.sequence_number
        damage = Damage(first, max(first, following), segment.base_offset + end, is_news=True)
        self._damages[offset] = damage
        return damage

    @property
    def damaged_events(self) -> int:
        """The number of events that readers found damaged since the log was opened."""
        begin = self.state().begin_sequence_number
        found = {(one.first_sequence_number, one.next_sequence_number) for one in self._damages.values()}
        return sum(max(0, following - max(first, begin)) for first, following in found)

    def wait(self, wake: Callable[[], None]) -> None:
        """Register `wake` to be called once, at the next append."""
        self._waiting.add(wake)

    def stop_waiting(self, wake: Callable[[], None]) -> None:
        self._waiting.discard(wake)

    def _wake(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for wake in waiting:
                wake()

    @property
    def is_synced(self) -> bool:
        return all(segment.is_synced for segment in self._segments)

    def sync(self) -> None:
        """Make everything appended so far durable; may run in a thread while appends go on."""
        for segment in self._segments[:]:
            if not segment.is_synced:
                segment.sync()

    def roll(self) -> None:
        """Start a new segment, unless the last segment is empty.

        The old segment is made durable in the background.
        """
        full = self._segments[-1]
        if full.last is None:
            return
        full.finish()
        following = Segment.create(self.directory, self._tail.next_sequence, full.end_offset, self._files)
        self._segments.append(following)
        self._bases.append(following.base_offset)
        # Earlier ones too: the disk may have been too full for the index of one.
        for segment in self._segments[:-1]:
            if segment.claim_seal():
                self._in_background(segment.seal)

    def expire(self, now_ms: int, max_age_ms: int, max_bytes: int | None) -> None:
        """Delete the oldest segments, each as a whole.

        A segment is deleted if all its events are older than `max_age_ms`, or while the log is larger than
        `max_bytes`.
        """
        active = self._segments[-1]
        if active.first_ms is not None and now_ms - active.first_ms >= max_age_ms // _SEGMENTS_PER_AGE:
            self.roll()
        over_bytes = 0 if max_bytes is None else self.size_bytes - max_bytes
        try:
            while (oldest := self._expirable) and (oldest.is_before(now_ms - max_age_ms) or over_bytes > 0):
                over_bytes -= oldest.size_bytes
                self._drop_oldest()
        except OSError as exc:
            log.warning("segment_not_expired", directory=str(self.directory), reason=exc.strerror)

    def trim(self, before_sequence: int) -> int:
        """Delete the oldest segments if all their sequence numbers are below `before_sequence`.

        Return how many events were deleted.
        """
        began = self.state().begin_sequence_number
        while self._expirable and self._segments[1].base_sequence <= before_sequence:
            self._drop_oldest()
        return self.state().begin_sequence_number - began

    @property
    def _expirable(self) -> Segment | None:
        """The oldest segment, or None while it is being appended to or a thread is making it durable."""
        oldest = self._segments[0]
        return None if oldest is self._segments[-1] or oldest.is_being_sealed else oldest

    def _drop_oldest(self) -> None:
        if self._segments[1].last is None:
            # From here on only the tail records which numbers are used.
            self._tail_file.sync()
        self._bases.pop(0)
        self._segments.pop(0).delete()
        self._damages = {at: damage for at, damage in self._damages.items() if at >= self.begin_offset}
        log.info(
            "segment_expired",
            directory=str(self.directory),
            begin_sequence_number=self.state().begin_sequence_number,
        )

    def close(self) -> None:
        """Make everything durable and close the files.

        The next start then trusts the log even after a power cut.
        """
        try:
            if self._reservation.is_saved:
                self.sync()
                self._segments[-1].sync_rows()
                self._tail_file.sync()
                self._reservation.end(self._tail)
        except OSError as exc:
            log.warning("log_not_closed", directory=str(self.directory), reason=exc.strerror)
        self.abandon()

    def abandon(self) -> None:
        """Close the files without making anything durable, and refuse further appends."""
        self._is_abandoned = True
        for segment in self._segments:
            segment.release()
        self._tail_file.close()
