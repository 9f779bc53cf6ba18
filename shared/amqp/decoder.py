"""Decoding of AMQP 1.0 values from untrusted bytes, with bounded depth and allocations. Pure: no I/O."""

import struct
import uuid
from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

MAX_DEPTH = 16

_UBYTE = Struct(">B")
_UINT = Struct(">I")
_DESCRIBED = 0x00
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_SIZED = {0xA: _UBYTE, 0xB: _UINT, 0xC: _UBYTE, 0xD: _UINT, 0xE: _UBYTE, 0xF: _UINT}


class DecodeError(Exception):
    """The bytes are not the AMQP value that they claim to be."""


class Described(NamedTuple):
    """A value with its descriptor, which is a ulong code or a symbol."""

    descriptor: Any
    value: Any


def decode(buffer: bytes, position: int = 0) -> tuple[Any, int]:
    """Return the value at `position` and the position after it.

    Symbols and strings become str, binary becomes bytes, lists and arrays become list. Raises DecodeError if
    there is no valid value at `position`.
    """
    try:
        return _decode(buffer, position, 0)
    except (IndexError, struct.error) as exc:
        raise DecodeError("a value ends before its bytes do") from exc


def skip(buffer: bytes, position: int) -> int:
    """Return the position after the value at `position`, without decoding the value.

    Raises DecodeError if the value's encoding is invalid.
    """
    try:
        code = buffer[position]
        position += 1
        depth = 0
        while code == _DESCRIBED:
            # A described descriptor is refused, or a few bytes could recurse without end.
            depth += 1
            if buffer[position] == _DESCRIBED or depth > MAX_DEPTH:
                raise DecodeError("values are nested too deeply")
            position = skip(buffer, position)
            code = buffer[position]
            position += 1
        category = code >> 4
        if (width := _FIXED_WIDTHS.get(category)) is not None:
            end = position + width
        else:
            size = _SIZED[category]
            end = position + size.size + size.unpack_from(buffer, position)[0]
    except (IndexError, KeyError, struct.error) as exc:
        raise DecodeError("a value ends before its bytes do, or has no known type") from exc
    if end > len(buffer):
        raise DecodeError("a value claims more bytes than there are")
    return end


def _decode(buffer: bytes, position: int, depth: int) -> tuple[Any, int]:
    code = buffer[position]
    position += 1
    if code == _DESCRIBED:
        if depth >= MAX_DEPTH:
            raise DecodeError("values are nested too deeply")
        descriptor, position = _decode(buffer, position, depth + 1)
        if not isinstance(descriptor, (int, str)):
            raise DecodeError("a descriptor is neither a number nor a symbol")
        value, position = _decode(buffer, position, depth + 1)
        return Described(descriptor, value), position
    reader = _READERS.get(code)
    if reader is None:
        raise DecodeError(f"no AMQP type has the code 0x{code:02x}")
    return reader(buffer, position, depth)


_Reader = Callable[[bytes, int, int], tuple[Any, int]]


def _constant(value: object) -> _Reader:
    return lambda _buffer, position, _depth: (value, position)


def _number(layout: str) -> _Reader:
    form = Struct(layout)
    return lambda buffer, position, _depth: (form.unpack_from(buffer, position)[0], position + form.size)


def _raw(width: int) -> _Reader:
    """Return the bytes of a decimal unchanged."""
    return lambda buffer, position, _depth: _cut(buffer, position, width)


def _cut(buffer: bytes, position: int, size: int) -> tuple[bytes, int]:
    end = position + size
    if end > len(buffer):
        raise DecodeError("a value claims more bytes than there are")
    return bytes(buffer[position:end]), end


def _character(buffer: bytes, position: int, _depth: int) -> tuple[str, int]:
    try:
        return chr(_UINT.unpack_from(buffer, position)[0]), position + _UINT.size
    except (ValueError, OverflowError) as exc:
        raise DecodeError("a char is not in Unicode") from exc


def _uuid(buffer: bytes, position: int, _depth: int) -> tuple[uuid.UUID, int]:
    raw, position = _cut(buffer, position, 16)
    return uuid.UUID(bytes=raw), position


def _binary(size: Struct) -> _Reader:
    return lambda buffer, position, _depth: _cut(
        buffer, position + size.size, size.unpack_from(buffer, position)[0]
    )


def _text(size: Struct) -> _Reader:
    def read(buffer: bytes, position: int, _depth: int) -> tuple[str, int]:
        raw, position = _cut(buffer, position + size.size, size.unpack_from(buffer, position)[0])
        try:
            return raw.decode(), position
        except UnicodeDecodeError as exc:
            raise DecodeError("a string is not UTF-8") from exc

    return read


def _compound(buffer: bytes, position: int, depth: int, width: Struct) -> tuple[int, int, int]:
    """Return a compound value's item count, the position of its first item, and the position of its end."""
    size = width.unpack_from(buffer, position)[0]
    count: int = width.unpack_from(buffer, position + width.size)[0]
    end = position + width.size + size
    # Checked before anything is allocated: an item of a list has at least one byte, and the same bound is
    # generous enough for the zero-width items of an array.
    if end > len(buffer) or count > size:
        raise DecodeError("a list claims more items than its bytes can hold")
    if depth >= MAX_DEPTH:
        raise DecodeError("values are nested too deeply")
    return count, position + 2 * width.size, end


def _items(buffer: bytes, position: int, depth: int, count: int, end: int) -> list[Any]:
    items = []
    for _ in range(count):
        value, position = _decode(buffer, position, depth + 1)
        items.append(value)
    if position != end:
        raise DecodeError("a compound value's size and items disagree")
    return items


def _list(width: Struct) -> _Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[list[Any], int]:
        count, position, end = _compound(buffer, position, depth, width)
        return _items(buffer, position, depth, count, end), end

    return read


def _map(width: Struct) -> _Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[dict[Any, Any], int]:
        count, position, end = _compound(buffer, position, depth, width)
        items = _items(buffer, position, depth, count, end)
        if count % 2:
            raise DecodeError("a map has a key without a value")
        if Described in map(type, items[::2]):
            raise DecodeError("a map's key is a described value")
        try:
            return dict(zip(items[::2], items[1::2], strict=True)), end
        except TypeError as exc:
            raise DecodeError("a map's key is itself a collection") from exc

    return read


def _array(width: Struct) -> _Reader:
    def read(buffer: bytes, position: int, depth: int) -> tuple[list[Any], int]:
        count, position, end = _compound(buffer, position, depth, width)
        if count == 0 and end - position <= 1:
            # An empty array, with or without the type of its items.
            return [], end
        reader = _READERS.get(buffer[position])
        if reader is None:
            raise DecodeError("an array's items have no known type")
        position += 1
        items = []
        for _ in range(count):
            value, position = reader(buffer, position, depth + 1)
            items.append(value)
        if position != end:
            raise DecodeError("a compound value's size and items disagree")
        return items, end

    return read


_READERS: dict[int, _Reader] = {
    0x40: _constant(None),
    0x41: _constant(value=True),
    0x42: _constant(value=False),
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: lambda _buffer, position, _depth: ([], position),
    0x50: _number(">B"),
    0x51: _number(">b"),
    0x52: _number(">B"),
    0x53: _number(">B"),
    0x54: _number(">b"),
    0x55: _number(">b"),
    0x56: _number(">?"),
    0x60: _number(">H"),
    0x61: _number(">h"),
    0x70: _number(">I"),
    0x71: _number(">i"),
    0x72: _number(">f"),
    0x73: _character,
    0x74: _raw(4),
    0x80: _number(">Q"),
    0x81: _number(">q"),
    0x82: _number(">d"),
    0x83: _number(">q"),
    0x84: _raw(8),
    0x94: _raw(16),
    0x98: _uuid,
    0xA0: _binary(_UBYTE),
    0xA1: _text(_UBYTE),
    0xA3: _text(_UBYTE),
    0xB0: _binary(_UINT),
    0xB1: _text(_UINT),
    0xB3: _text(_UINT),
    0xC0: _list(_UBYTE),
    0xC1: _map(_UBYTE),
    0xD0: _list(_UINT),
    0xD1: _map(_UINT),
    0xE0: _array(_UBYTE),
    0xF0: _array(_UINT),
}
