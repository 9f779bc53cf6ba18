"""Frames and protocol headers: cutting them from a byte stream, and encoding them. Pure: no I/O."""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP_FRAME = 0
SASL_FRAME = 1
MIN_MAX_FRAME_BYTES = 512
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_HEADER = Struct(">IBBH")
_WORD_BYTES = 4
_MIN_DATA_OFFSET = 2


class FramingError(Exception):
    """The byte stream is not AMQP; nothing after the error can be read."""


class ProtocolHeader(NamedTuple):
    raw: bytes


class Frame(NamedTuple):
    kind: int
    channel: int
    body: bytes


class FrameReader:
    """A cutter of frames; it keeps at most one unfinished frame of the negotiated size."""

    def __init__(self, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[ProtocolHeader | Frame]:
        """Yield the headers and frames that `data` completes.

        Raises FramingError if the stream is not AMQP.
        """
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while len(buffer) - position >= _HEADER.size:
                # Read as the size of a frame, "AMQP" is over a gigabyte: no frame begins like a header.
                if buffer[position : position + 4] == b"AMQP":
                    yield ProtocolHeader(bytes(buffer[position : position + 8]))
                    position += 8
                    continue
                size, data_offset, kind, channel = _HEADER.unpack_from(buffer, position)
                body_start = data_offset * _WORD_BYTES
                if size > self.max_frame_bytes:
                    raise FramingError(f"a frame of {size} bytes is above the {self.max_frame_bytes} agreed")
                if data_offset < _MIN_DATA_OFFSET or body_start > size:
                    raise FramingError("a frame's header contradicts its size")
                if len(buffer) - position < size:
                    return
                yield Frame(kind, channel, bytes(memoryview(buffer)[position + body_start : position + size]))
                position += size
        finally:
            del buffer[:position]


def frame(channel: int, body: bytes, kind: int = AMQP_FRAME) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), _MIN_DATA_OFFSET, kind, channel) + body
