"""Encoding of AMQP 1.0 values: one function per type, each in its smallest form. Pure: no I/O.

Collections take items that are already encoded, so that each caller chooses their AMQP types.
"""

import uuid as uuids
from collections.abc import Iterable
from struct import Struct

NULL = b"\x40"
MAP_8 = 0xC1

_UBYTE = Struct(">BB")
_USHORT = Struct(">BH")
_UINT = Struct(">BI")
_INT = Struct(">Bi")
_BYTE = Struct(">Bb")
_ULONG = Struct(">BQ")
_LONG = Struct(">Bq")
_COMPOUND_8 = Struct(">BBB")
_COMPOUND_32 = Struct(">BII")

_BYTE_MAX = 0xFF
_SMALL_MIN, _SMALL_MAX = -128, 127


def boolean(value: bool) -> bytes:
    return b"\x41" if value else b"\x42"


def ubyte(value: int) -> bytes:
    return _UBYTE.pack(0x50, value)


def ushort(value: int) -> bytes:
    return _USHORT.pack(0x60, value)


def uint(value: int) -> bytes:
    if value == 0:
        return b"\x43"
    return _UBYTE.pack(0x52, value) if value <= _BYTE_MAX else _UINT.pack(0x70, value)


def ulong(value: int) -> bytes:
    if value == 0:
        return b"\x44"
    return _UBYTE.pack(0x53, value) if value <= _BYTE_MAX else _ULONG.pack(0x80, value)


def integer(value: int) -> bytes:
    return _BYTE.pack(0x54, value) if _SMALL_MIN <= value <= _SMALL_MAX else _INT.pack(0x71, value)


def long(value: int) -> bytes:
    return _BYTE.pack(0x55, value) if _SMALL_MIN <= value <= _SMALL_MAX else _LONG.pack(0x81, value)


def timestamp(unix_ms: int) -> bytes:
    return _LONG.pack(0x83, unix_ms)


def uuid(value: uuids.UUID) -> bytes:
    return b"\x98" + value.bytes


def binary(value: bytes) -> bytes:
    return _variable(0xA0, 0xB0, value)


def string(value: str) -> bytes:
    return _variable(0xA1, 0xB1, value.encode())


def symbol(value: str) -> bytes:
    return _variable(0xA3, 0xB3, value.encode())


def sequence(items: Iterable[bytes]) -> bytes:
    """Encode a list, but never in the zero-byte form for an empty list.

    pyamqp (5.15.1) cannot read that form as the body of a frame.
    """
    encoded = list(items)
    return _compound(0xC0, 0xD0, b"".join(encoded), len(encoded))


def mapping(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    encoded = [part for pair in pairs for part in pair]
    return _compound(0xC1, 0xD1, b"".join(encoded), len(encoded))


def strings(values: Iterable[str]) -> bytes:
    """Encode an array of strings."""
    return _array(0xB1, values)


def symbols(values: Iterable[str]) -> bytes:
    """Encode an array of symbols."""
    return _array(0xB3, values)


def described(descriptor: int, value: bytes) -> bytes:
    return b"\x00" + ulong(descriptor) + value


def _variable(small: int, large: int, value: bytes) -> bytes:
    size = len(value)
    return (_UBYTE.pack(small, size) if size <= _BYTE_MAX else _UINT.pack(large, size)) + value


def _compound(small: int, large: int, body: bytes, count: int) -> bytes:
    # The size counts the bytes after itself, those of the count included.
    if len(body) + 1 <= _BYTE_MAX and count <= _BYTE_MAX:
        return _COMPOUND_8.pack(small, len(body) + 1, count) + body
    return _COMPOUND_32.pack(large, len(body) + 4, count) + body


def _array(code: int, values: Iterable[str]) -> bytes:
    encoded = [value.encode() for value in values]
    body = b"".join(len(value).to_bytes(4, "big") + value for value in encoded)
    return _COMPOUND_32.pack(0xF0, len(body) + 5, len(encoded)) + bytes((code,)) + body
