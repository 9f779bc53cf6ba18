"""Encoding of the log's events as TRANSFER frames.

Each frame is a fixed prefix with two numbers, then the stored message.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from services.emulator.log.partition_log import Chunk
from services.emulator.log.records import HEADER_BYTES
from shared.amqp import encoder as amqp
from shared.amqp.decoder import skip
from shared.amqp.performative_encoder import SETTLED_TAG, TRANSFER_OVERHEAD_BYTES, transfer_frames
from shared.amqp.performatives import UINT_MAX
from shared.amqp.sections import HEADER_START

# A record's header without the time, which is in the message: length, number, crc.
_HEADER = Struct(">Iq8xI")


class Rendered(NamedTuple):
    """Encoded frames, and how far they reach in the log.

    `next_offset` is the offset of the first event that is not in `parts`. `is_damaged` tells whether the
    first record of the chunk is damaged, in which case `parts` is empty.
    """

    parts: list[bytes]
    events: int
    frames: int
    next_offset: int
    is_damaged: bool


class TransferRenderer:
    """An encoder for one link, whose client accepts frames of `max_frame_bytes`."""

    def __init__(self, channel: int, handle: int, max_frame_bytes: int) -> None:
        self._channel = channel
        self._handle = handle
        self._max_frame_bytes = max_frame_bytes
        # The delivery id is always written in four bytes, or the prefix would have no fixed form.
        fields = amqp.uint(handle) + b"\x70"
        tail = (
            amqp.binary(SETTLED_TAG) + amqp.uint(0) + amqp.boolean(True) + amqp.boolean(False) + amqp.NULL * 5
        )
        size = 1 + len(fields) + 4 + len(tail)
        self._head = (
            b"\x02\x00" + channel.to_bytes(2, "big") + b"\x00\x53\x14\xc0" + bytes((size, 11)) + fields
        )
        self._tail = tail
        self._prefix = Struct(f">I{len(self._head)}sI{len(tail)}s")

    def render(self, chunk: Chunk, delivery_id: int, credit: int, window: int, metrics: bytes) -> Rendered:
        """Encode those events of `chunk` that fit into `credit` deliveries and `window` frames.

        `metrics` is a delivery-annotations section to insert into each event, or empty.
        """
        data = chunk.data
        pack, head, tail, overhead = self._prefix.pack, self._head, self._tail, self._prefix.size
        parts: list[bytes] = []
        append, header_at = parts.append, _HEADER.unpack_from
        largest = 0 if metrics else self._max_frame_bytes - TRANSFER_OVERHEAD_BYTES
        events = more_frames = done = 0
        is_damaged = len(data) < HEADER_BYTES
        complete, room = len(data) - HEADER_BYTES, min(credit, window)
        while done <= complete and events < room:
            start = done + HEADER_BYTES
            size, number, crc = header_at(data, done)
            end = start + size
            message = data[start:end]
            if crc32(message, number) != crc or not size:
                # Damaged, or cut by the chunk's end, which never happens to the first record.
                is_damaged = not done
                break
            if size <= largest:
                append(pack(overhead + size, head, (delivery_id + events) & UINT_MAX, tail))
                append(message)
            else:
                pieces = list(self._frames(_insert_metrics(message, metrics), delivery_id + events))
                if events and events + more_frames + len(pieces) > window:
                    break
                parts += pieces
                more_frames += len(pieces) - 1
                room = min(credit, window - more_frames)
            events += 1
            done = end
        return Rendered(parts, events, events + more_frames, chunk.offset + done, is_damaged)

    def _frames(self, message: bytes, delivery_id: int) -> Iterator[bytes]:
        return transfer_frames(
            self._channel, self._handle, delivery_id & UINT_MAX, message, self._max_frame_bytes
        )


def _insert_metrics(whole: bytes, metrics: bytes) -> bytes:
    """Insert the delivery annotations `metrics` after the message's header, if it has one."""
    header_end = skip(whole, 0) if metrics and whole.startswith(HEADER_START) else 0
    return whole[:header_end] + metrics + whole[header_end:]
