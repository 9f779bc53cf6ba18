"""The message annotations that the service adds to an event: fixed bytes around three numbers."""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from services.emulator.log.records import HEADER, HEADER_BYTES
from shared.amqp import encoder as amqp

SEQUENCE_NUMBER = "x-opt-sequence-number"
OFFSET = "x-opt-offset"
ENQUEUED_TIME = "x-opt-enqueued-time"
PARTITION_KEY = "x-opt-partition-key"
SERVICE_ANNOTATIONS = frozenset({SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME})

_OWN_ENTRIES = 6
_BYTE_MAX = 0xFF
_MAP_8 = Struct(">3sBBB")
_MAP_32 = Struct(">3sBII")


# An event as sent, cut where the service inserts: its header, the sender's annotations (encoded entries), the
# number of their items, and the rest. It is a plain tuple because many thousands are made each second.
Event = tuple[bytes, bytes, int, bytes]


class EncodedRecords(NamedTuple):
    """Records to write at the requested offset, and the offset of the last of them."""

    data: bytes
    last_offset: int


@lru_cache(maxsize=1024)
def _layout(offset_digits: int, own_bytes: int, own_items: int) -> tuple[Struct, bytes, bytes, bytes]:
    """Return the layout of an annotations section.

    The layout depends on the number of digits of the offset, and on the encoded size and item count of the
    sender's own annotations.
    """
    sequence_key = amqp.symbol(SEQUENCE_NUMBER) + b"\x81"
    offset_key = amqp.symbol(OFFSET) + bytes((0xA1, offset_digits))
    time_key = amqp.symbol(ENQUEUED_TIME) + b"\x83"
    size = len(sequence_key) + 8 + len(offset_key) + offset_digits + len(time_key) + 8 + own_bytes
    items = _OWN_ENTRIES + own_items
    if size < _BYTE_MAX:
        head = _MAP_8.pack(b"\x00\x53\x72", 0xC1, size + 1, items)
    else:
        head = _MAP_32.pack(b"\x00\x53\x72", 0xD1, size + 4, items)
    head += sequence_key
    struct = Struct(f">{len(head)}sq{len(offset_key)}s{offset_digits}s{len(time_key)}sq")
    return struct, head, offset_key, time_key


def encode_records(
    events: Sequence[Event], sequence_number: int, offset: int, enqueued_ms: int
) -> EncodedRecords:
    """Encode the events as every reader receives them, each preceded by its record header.

    The loop calls no other function of this project, because an accepted event spends most of its time here.
    """
    parts: list[bytes] = []
    append, header_pack = parts.append, HEADER.pack
    own_bytes = own_count = more_digits_from = last_offset = -1
    for event_header, own, own_items, rest in events:
        if offset >= more_digits_from or len(own) != own_bytes or own_items != own_count:
            own_bytes, own_count = len(own), own_items
            digits = len(str(offset))
            more_digits_from = 10**digits
            layout, head, offset_key, time_key = _layout(digits, own_bytes, own_count)
            pack = layout.pack
        section = pack(head, sequence_number, offset_key, b"%d" % offset, time_key, enqueued_ms)
        message = event_header + section + own + rest if event_header or own else section + rest
        size = len(message)
        append(header_pack(size, sequence_number, enqueued_ms, crc32(message, sequence_number)))
        append(message)
        last_offset = offset
        offset += HEADER_BYTES + size
        sequence_number += 1
    return EncodedRecords(b"".join(parts), last_offset)
