"""A contiguous range of one partition's events, gathered until it becomes a file (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from shared.codec.batch_decoder import DecodedBatch
from shared.codec.body_decoder import BadLine, Decoded
from shared.codec.content_encoding import is_gzip
from shared.codec.row_buffer import DeadLetter, EventOrigin, RowBuffer
from shared.contract.columns import Contract
from shared.streams.amqp_values import properties_to_json
from shared.streams.event import Event

# Overhead in bytes of an event and of a dead letter: without it, empty bodies would never fill a file.
EVENT_BYTES, _LETTER_BYTES = 128, 512
# Application properties larger than this are kept in an event's first dead letter only: repeated with each of
# 20,000 bad lines, a megabyte of them would fill the lake.
_REPEATED_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class FileContents:
    """The contents of a file: all events from `first` through `last`, for the folder of `hour`.

    The chain continues in the folder of `next_hour`. A file without rows is part of the chain too: it stands
    for a turn to another folder (last = first - 1), a gap of the hub, or a range of only bad records.
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
        """The number of events in this range that retention removed before they were read."""
        return self.last - self.first + 1 if self.is_gap else 0

    def after(self, sequence_number: int) -> Self | None:
        """Return the contents after `sequence_number`, or None if no event is left.

        `sequence_number` is the last one in another writer's file.
        """
        if sequence_number < self.first:
            return self
        if sequence_number >= self.last:
            return None
        kept = self.table.filter(pc.greater(self.table["sequence_number"], sequence_number))
        letters = tuple(one for one in self.letters if one.origin.sequence_number > sequence_number)
        return replace(self, first=sequence_number + 1, table=kept, letters=letters)


def build_turn(first: int, hour: int, next_hour: int, last_offset: str, schema: pa.Schema) -> FileContents:
    """Return a zero-row file after which the chain continues in another hour's folder."""
    return FileContents(first, first - 1, last_offset, hour, next_hour, schema.empty_table())


@dataclass(frozen=True, slots=True)
class RollPolicy:
    """The limits of a file, which may safely end at any event.

    Independently of these limits, a file also ends with its hour of enqueued time.
    """

    max_rows: int
    max_bytes: int
    max_age_s: float

    def is_full(self, rows: int, size_bytes: int) -> bool:
        """Return whether a file of this size is full; `size_bytes` counts event bodies as received."""
        return rows >= self.max_rows or size_bytes >= self.max_bytes

    def left(self, rows: int, size_bytes: int) -> tuple[int, int]:
        """Return how many rows and bytes still fit into a file."""
        return self.max_rows - rows, self.max_bytes - size_bytes

    def due_in_s(self, opened_at_s: float, now_s: float) -> float:
        """Return the seconds until a file opened at `opened_at_s` reaches its maximum age; never below 0."""
        return max(0.0, opened_at_s + self.max_age_s - now_s)


@dataclass(slots=True)
class OpenFile:
    """The decoded events of one partition and one hour's folder, in sequence, not yet committed."""

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
        """Add the next event and its decoded records."""
        origin = EventOrigin(self.partition, event.sequence_number, event.offset, event.enqueued_us)
        self.buffer.add(decoded, origin)
        if decoded.bad:
            self._add_letters(event, origin, decoded.bad)
        self.last = event.sequence_number
        self.last_offset = event.offset
        self.size_bytes += len(event.body) + EVENT_BYTES + _LETTER_BYTES * len(decoded.bad)

    def _add_letters(self, event: Event, origin: EventOrigin, bad_lines: Sequence[BadLine]) -> None:
        properties = properties_to_json(event.properties)
        properties_bytes = len(msgspec.json.encode(properties))
        for number, bad in enumerate(bad_lines):
            # A bad line of a gzip body is kept expanded.
            is_encoded = bad.is_whole or not is_gzip(event.content_encoding)
            encoding = event.content_encoding if is_encoded else None
            has_properties = not number or properties_bytes <= _REPEATED_BYTES
            kept = properties if has_properties else None
            self.letters_bytes += len(bad.body) + (properties_bytes if has_properties else 0)
            self.letters.append(DeadLetter(origin, event.content_type, bad, encoding, kept))

    def add_batch(self, events: Sequence[Event], run: DecodedBatch) -> None:
        """Add the next events; `run` holds their records, decoded together."""
        numbers = [event.sequence_number for event in events]
        offsets = [event.offset for event in events]
        self.buffer.add_batch(run, numbers, offsets, [event.enqueued_us for event in events])
        self.last, self.last_offset = numbers[-1], offsets[-1]
        self.size_bytes += sum([len(event.body) for event in events]) + EVENT_BYTES * len(events)

    def to_contents(self, next_hour: int | None = None) -> FileContents:
        """Return the contents added so far.

        If the next event belongs to a later folder, `next_hour` is that event's hour.
        """
        return FileContents(
            self.first,
            self.last,
            self.last_offset,
            self.hour,
            self.hour if next_hour is None else next_hour,
            self.buffer.table(),
            tuple(self.letters),
        )
