"""One record of a partition's log: length, sequence number, enqueued time, crc32, then the AMQP message."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple
from zlib import crc32

HEADER = Struct(">IqqI")
HEADER_BYTES = HEADER.size
LENGTH = Struct(">I")
WORD_MASK = 0xFFFFFFFF


class RecordMark(NamedTuple):
    """Where a record begins in its segment and what stands in its header."""

    position: int
    end: int
    sequence_number: int
    enqueued_ms: int


def checksum(sequence_number: int, message: bytes | memoryview) -> int:
    """Seeded with the sequence number, so that a record in the wrong place does not pass either."""
    return crc32(message, sequence_number & WORD_MASK)


def marks(buffer: bytes | memoryview, position: int = 0, *, verify: bool = False) -> Iterator[RecordMark]:
    """The whole records from `position` on; ends before one that is cut short or, verifying, damaged."""
    size = len(buffer)
    view = memoryview(buffer)
    while position + HEADER_BYTES <= size:
        length, sequence_number, enqueued_ms, crc = HEADER.unpack_from(buffer, position)
        end = position + HEADER_BYTES + length
        if end > size or not length:
            return
        if verify and checksum(sequence_number, view[position + HEADER_BYTES : end]) != crc:
            return
        yield RecordMark(position, end, sequence_number, enqueued_ms)
        position = end
