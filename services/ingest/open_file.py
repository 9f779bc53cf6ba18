"""A contiguous range of one partition's events: gathered while open, then cut to be one file (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from shared.codec.batch_decoder import DecodedBatch
from shared.codec.bodies import Decoded
from shared.codec.row_buffer import DeadLetter, EventOrigin, RowBuffer
from shared.contract.columns import Contract
from shared.streams.event import Event

# What an event and a dead letter weigh beside their bytes: without it, empty bodies would never fill a range.
EVENT_BYTES, _LETTER_BYTES = 128, 512


@dataclass(frozen=True, slots=True)
class FileContents:
    """Events `first` to `last`, all of them, for the folder of `hour`; the next file goes to `next_hour`.

    With no rows it still takes its place in the chain: a turn to another folder (last = first - 1), a gap of
    the hub's own, or a range of nothing but bad records.
    """

    first: int
    last: int
    last_offset: str
    hour: int
    next_hour: int
    table: pa.Table
    letters: tuple[DeadLetter, ...] = ()
    is_gap: bool = False

    @property
    def gap(self) -> int:
        """How many events retention took."""
        return self.last - self.first + 1 if self.is_gap else 0

    def after(self, sequence_number: int) -> Self | None:
        """What is left once another writer's file covers events up to `sequence_number`; None: nothing."""
        if sequence_number < self.first:
            return self
        if sequence_number >= self.last:
            return None
        kept = self.table.filter(pc.greater(self.table["sequence_number"], sequence_number))
        letters = tuple(one for one in self.letters if one.origin.sequence_number > sequence_number)
        return replace(self, first=sequence_number + 1, table=kept, letters=letters)


def turn(first: int, hour: int, next_hour: int, last_offset: str, schema: pa.Schema) -> FileContents:
    """A zero-row file that sends the chain on to another hour's folder."""
    return FileContents(first, first - 1, last_offset, hour, next_hour, schema.empty_table())


@dataclass(slots=True)
class OpenFile:
    """Decoded events of one partition and one hour's folder, in sequence, not yet committed."""

    contract: Contract
    partition: int
    first: int
    hour: int
    opened_at_s: float
    last: int = -1
    last_offset: str = ""
    size_bytes: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    letters_bytes: int = 0
    buffer: RowBuffer = field(init=False)

    def __post_init__(self) -> None:
        self.buffer = RowBuffer(self.contract, self.partition)

    @property
    def rows(self) -> int:
        return self.buffer.rows

    @property
    def memory_bytes(self) -> int:
        return self.buffer.memory_bytes + _LETTER_BYTES * len(self.letters) + self.letters_bytes

    def add(self, event: Event, decoded: Decoded) -> None:
        """Take in the next event of the range."""
        origin = EventOrigin(self.partition, event.sequence_number, event.offset, event.enqueued_us)
        self.buffer.add(decoded, origin)
        for bad in decoded.bad:
            self.letters_bytes += len(bad.body)
            self.letters.append(DeadLetter(origin, event.content_type, bad))
        self.last = event.sequence_number
        self.last_offset = event.offset
        self.size_bytes += len(event.body) + EVENT_BYTES + _LETTER_BYTES * len(decoded.bad)

    def add_batch(self, events: Sequence[Event], run: DecodedBatch) -> None:
        """Take in the next events of the range, as many as the run decoded."""
        numbers = [event.sequence_number for event in events]
        offsets = [event.offset for event in events]
        self.buffer.add_batch(run, numbers, offsets, [event.enqueued_us for event in events])
        self.last, self.last_offset = numbers[-1], offsets[-1]
        self.size_bytes += sum([len(event.body) for event in events]) + EVENT_BYTES * len(events)

    def cut(self, next_hour: int | None = None) -> FileContents:
        """Everything taken in; `next_hour` is where the event that closed the range belongs."""
        return FileContents(
            self.first,
            self.last,
            self.last_offset,
            self.hour,
            self.hour if next_hour is None else next_hour,
            self.buffer.table(),
            tuple(self.letters),
        )
