"""The format of a record in a log: length, sequence number, enqueued time, crc32, then the AMQP message."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple
from zlib import crc32

HEADER = Struct(">IqqI")
HEADER_BYTES = HEADER.size

# The annotation of every stored message's number (annotations.py); records behind damage are found by it.
_NUMBER = b"\xa3\x15x-opt-sequence-number\x81"
_NUMBER_BYTES = 8
_NUMBER_IN_HEADER = 4
# Between a record's header and the number in its message there are a few bytes and the sender's header.
_MAX_OPENING_BYTES = 4096


class RecordMark(NamedTuple):
    """A record's position in its segment, and the fields of its header."""

    position: int
    end: int
    sequence_number: int
    enqueued_ms: int


def scan_records(buffer: bytes, position: int = 0) -> Iterator[RecordMark]:
    """Yield the undamaged records from `position` up to the first damaged or incomplete one.

    The crc is seeded with the low 32 bits of the sequence number, so that a record in the wrong place fails
    too. The crc covers only the message, which must contain the same sequence number and time as the header.
    """
    size = len(buffer)
    while position + HEADER_BYTES <= size:
        length, sequence_number, enqueued_ms, crc = HEADER.unpack_from(buffer, position)
        start = position + HEADER_BYTES
        end = start + length
        if end > size or not length:
            return
        message = buffer[start:end]
        if crc32(message, sequence_number) != crc:
            return
        if buffer[position + 4 : position + 12] not in message:
            return
        if buffer[position + 12 : position + 20] not in message:
            return
        yield RecordMark(position, end, sequence_number, enqueued_ms)
        position = end


def find_record(buffer: bytes, position: int) -> int | None:
    """Return the position of the first undamaged record at or after `position`, or None if there is none."""
    found = position
    while (found := buffer.find(_NUMBER, found)) >= 0:
        at = found + len(_NUMBER)
        number = buffer[at : at + _NUMBER_BYTES]
        opening = max(position, found - _MAX_OPENING_BYTES)
        start = buffer.rfind(number, opening, found) - _NUMBER_IN_HEADER
        if start >= position and next(scan_records(buffer, start), None):
            return start
        found = at
    return None
