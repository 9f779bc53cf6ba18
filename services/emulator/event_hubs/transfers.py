"""Events of the log as TRANSFER frames: a fixed prefix with two numbers, then the stored message as it is."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from services.emulator.event_hubs.event_cutter import HEADER_SECTION
from services.emulator.log.partition_log import Chunk
from services.emulator.log.records import HEADER_BYTES
from shared.amqp import encoder as amqp
from shared.amqp import performative_encoder
from shared.amqp.decoder import skip
from shared.amqp.frames import frame
from shared.amqp.performatives import UINT_MAX

# One for all deliveries: pyamqp keeps every distinct tag for ever.
DELIVERY_TAG = b"\x00"
_FRAME_OVERHEAD_BYTES = 64
# A record's header without the time, which stands in the message: length, number, crc.
_HEADER = Struct(">Iq8xI")


class Rendered(NamedTuple):
    """`next_offset` is where the first event that is not in `parts` begins; it may be damaged."""

    parts: list[bytes]
    events: int
    frames: int
    next_offset: int
    is_damaged: bool


class TransferRenderer:
    """For one link; `max_frame_bytes` is what its client accepts."""

    def __init__(self, channel: int, handle: int, max_frame_bytes: int) -> None:
        self._channel = channel
        self._handle = handle
        self._max_payload_bytes = max_frame_bytes - _FRAME_OVERHEAD_BYTES
        # The delivery id is always written in four bytes, or the prefix would have no fixed form.
        fields = amqp.uint(handle) + b"\x70"
        tail = (
            amqp.binary(DELIVERY_TAG)
            + amqp.uint(0)
            + amqp.boolean(True)
            + amqp.boolean(False)
            + amqp.NULL * 5
        )
        size = 1 + len(fields) + 4 + len(tail)
        self._head = (
            b"\x02\x00" + channel.to_bytes(2, "big") + b"\x00\x53\x14\xc0" + bytes((size, 11)) + fields
        )
        self._tail = tail
        self._prefix = Struct(f">I{len(self._head)}sI{len(tail)}s")

    def render(self, chunk: Chunk, delivery_id: int, credit: int, window: int, metrics: bytes) -> Rendered:
        """The events of `chunk` that fit into `credit` deliveries and `window` frames.

        `metrics` is a delivery-annotations section to put into every one, or nothing.
        """
        data = chunk.data
        pack, head, tail, overhead = self._prefix.pack, self._head, self._tail, self._prefix.size
        parts: list[bytes] = []
        append, header_at = parts.append, _HEADER.unpack_from
        largest = 0 if metrics else self._max_payload_bytes
        events = more_frames = done = 0
        is_damaged = len(data) < HEADER_BYTES
        complete, room = len(data) - HEADER_BYTES, min(credit, window)
        while done <= complete and events < room:
            start = done + HEADER_BYTES
            size, number, crc = header_at(data, done)
            end = start + size
            message = data[start:end]
            if crc32(message, number) != crc or not size:
                # Cut short by the chunk's end, which never happens to its first record, or damaged.
                is_damaged = not done
                break
            if size <= largest:
                append(pack(overhead + size, head, (delivery_id + events) & UINT_MAX, tail))
                append(message)
            else:
                pieces = list(self._frames(_with(message, metrics), delivery_id + events))
                if events and events + more_frames + len(pieces) > window:
                    break
                parts += pieces
                more_frames += len(pieces) - 1
                room = min(credit, window - more_frames)
            events += 1
            done = end
        return Rendered(parts, events, events + more_frames, chunk.offset + done, is_damaged)

    def _frames(self, message: bytes, delivery_id: int) -> Iterator[bytes]:
        return message_frames(
            self._channel, self._handle, delivery_id & UINT_MAX, message, self._max_payload_bytes
        )


def message_frames(
    channel: int, handle: int, delivery_id: int, message: bytes, max_payload_bytes: int
) -> Iterator[bytes]:
    """One message in as many frames as it needs."""
    for start in range(0, len(message), max_payload_bytes):
        end = start + max_payload_bytes
        body = performative_encoder.transfer(handle, delivery_id, DELIVERY_TAG, more=end < len(message))
        yield frame(channel, body + message[start:end])


def _with(whole: bytes, metrics: bytes) -> bytes:
    """Delivery annotations stand between a message's header and its message annotations."""
    header_end = skip(whole, 0) if metrics and whole.startswith(HEADER_SECTION) else 0
    return whole[:header_end] + metrics + whole[header_end:]
