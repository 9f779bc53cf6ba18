"""Websocket frames (RFC 6455), decoded from a client and encoded for a server. Pure: no I/O.

Data is passed on as it arrives, however long the frame is; at most a frame's head or one control frame is
kept.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_FRAME_BYTES = 16 * 1024 * 1024  # sixteen times the largest AMQP frame; no AMQP client sends a longer one
_MAX_CONTROL_BYTES = 125
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_MASK_BYTES = 4


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = frozenset(Opcode)


class CloseCode(IntEnum):
    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    TOO_BIG = 1009


class WebSocketRefused(Exception):
    """The peer has violated the protocol; `code` is to be sent in the close frame."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Control:
    """A complete, unmasked control frame."""

    opcode: Opcode
    payload: bytes


class FrameCutter:
    """A decoder that yields the unmasked data of binary messages, and complete control frames."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._is_in_message = False
        self._mask = b""
        self._data_left = 0

    def feed(self, data: bytes) -> Iterator[bytes | Control]:
        """Yield the message data and control frames that `data` completes.

        Raises WebSocketRefused if the client violates the protocol; no more data may be fed after that.
        """
        pending = self._pending
        pending += data
        while pending:
            if self._data_left:
                piece = bytes(pending[: self._data_left])
                del pending[: len(piece)]
                self._data_left -= len(piece)
                yield apply_mask(piece, self._mask)
                turn = len(piece) % _MASK_BYTES
                self._mask = self._mask[turn:] + self._mask[:turn]
                continue
            head = _read_head(pending)
            if head is None:
                return
            self._check(head)
            if head.opcode <= Opcode.BINARY:
                self._is_in_message = not head.is_final
                self._mask, self._data_left = head.mask, head.length
                del pending[: head.size]
            else:
                end = head.size + head.length
                if len(pending) < end:
                    return
                payload = apply_mask(bytes(pending[head.size : end]), head.mask)
                del pending[:end]
                yield Control(Opcode(head.opcode), payload)

    def _check(self, head: "_Head") -> None:
        if head.has_reserved or not head.is_masked or head.opcode not in _OPCODES:
            raise WebSocketRefused(CloseCode.PROTOCOL_ERROR, "a reserved bit or opcode, or an unmasked frame")
        if head.opcode >= Opcode.CLOSE:
            if not head.is_final or head.length > _MAX_CONTROL_BYTES:
                raise WebSocketRefused(CloseCode.PROTOCOL_ERROR, "a control frame in pieces or too long")
        elif head.opcode == Opcode.TEXT:
            raise WebSocketRefused(CloseCode.UNSUPPORTED, "AMQP is binary")
        elif (head.opcode == Opcode.CONTINUATION) != self._is_in_message:
            raise WebSocketRefused(CloseCode.PROTOCOL_ERROR, "a fragment out of order")
        elif head.length > MAX_FRAME_BYTES:
            raise WebSocketRefused(CloseCode.TOO_BIG, f"a frame has at most {MAX_FRAME_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class _Head:
    opcode: int
    is_final: bool
    has_reserved: bool
    is_masked: bool
    length: int
    mask: bytes
    size: int


def _read_head(data: bytearray) -> _Head | None:
    """Return the frame head at the start of `data`, or None if the head is not complete."""
    if len(data) < 2:  # noqa: PLR2004  # flags and length
        return None
    length, size = data[1] & _LENGTH, 2
    if length >= _LENGTH_16:
        number = struct.Struct(">H" if length == _LENGTH_16 else ">Q")
        if len(data) < size + number.size:
            return None
        length = number.unpack_from(data, size)[0]
        size += number.size
    is_masked = bool(data[1] & _MASKED)
    mask = bytes(data[size : size + _MASK_BYTES]) if is_masked else b""
    if is_masked and len(mask) < _MASK_BYTES:
        return None
    return _Head(
        opcode=data[0] & _OPCODE,
        is_final=bool(data[0] & _FIN),
        has_reserved=bool(data[0] & _RESERVED),
        is_masked=is_masked,
        length=length,
        mask=mask,
        size=size + len(mask),
    )


def apply_mask(data: bytes, mask: bytes) -> bytes:
    """XOR `data` with the four bytes of the mask, repeated; this both masks and unmasks."""
    size = len(data)
    laid = (mask * (size // _MASK_BYTES + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(laid, "little")).to_bytes(size, "little")


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """Encode one complete message from a server, as a single frame."""
    size = len(payload)
    first = _FIN | opcode
    if size < _LENGTH_16:
        return b"".join((bytes((first, size)), payload))
    if size <= 0xFFFF:  # noqa: PLR2004  # what two bytes hold
        return b"".join((struct.pack(">BBH", first, _LENGTH_16, size), payload))
    return b"".join((struct.pack(">BBQ", first, _LENGTH_64, size), payload))


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, struct.pack(">H", code) + reason.encode()[: _MAX_CONTROL_BYTES - 2])


def encode_close_answer(payload: bytes) -> bytes:
    """Encode the answer to a client's close frame; it repeats the client's code if that may be sent."""
    if not payload:
        return frame(Opcode.CLOSE, b"")
    code = int.from_bytes(payload[:2], "big")
    may_be_sent = len(payload) > 1 and (
        code in {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    )
    return close_frame(code if may_be_sent else CloseCode.PROTOCOL_ERROR)
