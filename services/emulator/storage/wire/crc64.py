"""CRC-64 of storage clients (polynomial 0x9A6C9329AC4BC9B5, bits reflected, inverted at both ends).

The code works byte by byte, at about 10 MB/s, which is enough for the few requests that carry a CRC-64.
"""

import base64
from pathlib import Path

_POLYNOMIAL = 0x9A6C9329AC4BC9B5
_ONES = 0xFFFFFFFFFFFFFFFF
_PIECE_BYTES = 64 * 1024


def _remainder(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(_remainder(byte) for byte in range(256))


def crc64(data: bytes, before: int = 0) -> int:
    """Return the checksum of `data`. `before` is the checksum of the bytes that precede `data`."""
    crc = before ^ _ONES
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ _ONES


def file_crc64(path: Path) -> str:
    """Return a file's checksum as a header value, which is the base64 of its little-endian bytes.

    Blocking.
    """
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            crc = crc64(data, crc)
    return base64.b64encode(crc.to_bytes(8, "little")).decode()
