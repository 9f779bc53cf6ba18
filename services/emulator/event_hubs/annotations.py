"""The message annotations that the service puts before an event: fixed parts and three numbers."""

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from services.emulator.event_hubs import encoding as amqp

SEQUENCE_NUMBER = "x-opt-sequence-number"
OFFSET = "x-opt-offset"
ENQUEUED_TIME = "x-opt-enqueued-time"
PARTITION_KEY = "x-opt-partition-key"
OWN = frozenset({SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME})

_OWN_ENTRIES = 6
_BYTE_MAX = 0xFF
_MAP_8 = Struct(">3sBBB")
_MAP_32 = Struct(">3sBII")


class Event(NamedTuple):
    """An event as sent, cut where the service writes.

    `annotations` are the sender's own entries, encoded, and `annotation_items` how many items they are.
    """

    header: bytes
    annotations: bytes
    annotation_items: int
    rest: bytes


@lru_cache(maxsize=1024)
def _layout(offset_digits: int, own_bytes: int, own_items: int) -> tuple[Struct, bytes, bytes, bytes]:
    """How the section looks for offsets of so many digits and sender's annotations of such a size."""
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


def annotated(event: Event, sequence_number: int, offset: int, enqueued_ms: int) -> bytes:
    """The event as every reader will receive it."""
    header, own, own_items, rest = event
    digits = b"%d" % offset
    struct, head, offset_key, time_key = _layout(len(digits), len(own), own_items)
    section = struct.pack(head, sequence_number, offset_key, digits, time_key, enqueued_ms)
    return header + section + own + rest if header or own else section + rest
