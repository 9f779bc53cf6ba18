"""Which partition a key belongs to: Bob Jenkins's lookup3 (hashlittle2), folded to 16 bits."""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_BLOCK_BYTES = 12
_SIGN_BIT = 0x8000


@lru_cache(maxsize=65536)
def partition_of(key: str, partition_count: int) -> int:
    """The remainder is truncated toward zero and its sign dropped, as in .NET, Java and JavaScript.

    The Python SDK's own resolver floors instead, which gives other partitions for negative hashes.
    """
    return abs(hash_code(key)) % partition_count


def hash_code(key: str) -> int:
    """-32768 … 32767."""
    high, low = _lookup3(key.encode())
    folded = (high ^ low) & 0xFFFF
    return folded - 2 * _SIGN_BIT if folded & _SIGN_BIT else folded


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK


def _lookup3(data: bytes) -> tuple[int, int]:
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    position = 0
    while len(data) - position > _BLOCK_BYTES:
        a, b, c = _mixed(*_added(a, b, c, data[position : position + _BLOCK_BYTES]))
        position += _BLOCK_BYTES
    if not data:
        return c, b
    a, b, c = _added(a, b, c, data[position:].ljust(_BLOCK_BYTES, b"\0"))
    for_c, for_b = _finished(a, b, c)
    return for_c, for_b


def _added(a: int, b: int, c: int, block: bytes) -> tuple[int, int, int]:
    words = (int.from_bytes(block[at : at + 4], "little") for at in (0, 4, 8))
    return tuple((x + word) & _MASK for x, word in zip((a, b, c), words, strict=True))  # type: ignore[return-value]


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        # One round on (a, b, c), then the roles move on by one.
        a = ((a - c) & _MASK) ^ _rotated(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _finished(a: int, b: int, c: int) -> tuple[int, int]:
    c = ((c ^ b) - _rotated(b, 14)) & _MASK
    a = ((a ^ c) - _rotated(c, 11)) & _MASK
    b = ((b ^ a) - _rotated(a, 25)) & _MASK
    c = ((c ^ b) - _rotated(b, 16)) & _MASK
    a = ((a ^ c) - _rotated(c, 4)) & _MASK
    b = ((b ^ a) - _rotated(a, 14)) & _MASK
    c = ((c ^ b) - _rotated(b, 24)) & _MASK
    return c, b
