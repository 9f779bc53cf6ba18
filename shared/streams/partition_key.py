"""The mapping of partition keys to partitions that Event Hubs uses (pure).

The hash is Bob Jenkins's lookup3 (hashlittle2), its two words xor-ed and folded to int16. The partition is
the absolute value of the remainder of hash / partition count, truncated toward zero as in .NET, Java and
JavaScript. The Python SDK's own resolver floors instead, so it differs for negative hashes.
"""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_BLOCK_BYTES = 12
_INITIAL = 0xDEADBEEF
_INT16_SIGN = 0x8000


@lru_cache(maxsize=65536)
def find_partition(key: str, partition_count: int) -> int:
    """Return the partition, 0 … partition_count - 1, of events with this partition key."""
    return abs(hash_key(key)) % partition_count


def hash_key(key: str) -> int:
    """Return the key's hash as a signed 16-bit number, -32768 … 32767."""
    high, low = _lookup3(key.encode())
    folded = (high ^ low) & 0xFFFF
    return folded - 2 * _INT16_SIGN if folded & _INT16_SIGN else folded


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK


def _lookup3(data: bytes) -> tuple[int, int]:
    a = b = c = (_INITIAL + len(data)) & _MASK
    if not data:
        return c, b
    last = (len(data) - 1) // _BLOCK_BYTES * _BLOCK_BYTES
    for at in range(0, last, _BLOCK_BYTES):
        a, b, c = _mix(*_add_block(a, b, c, data[at : at + _BLOCK_BYTES]))
    return _finish(*_add_block(a, b, c, data[last:].ljust(_BLOCK_BYTES, b"\0")))


def _add_block(a: int, b: int, c: int, block: bytes) -> tuple[int, int, int]:
    return (
        (a + int.from_bytes(block[0:4], "little")) & _MASK,
        (b + int.from_bytes(block[4:8], "little")) & _MASK,
        (c + int.from_bytes(block[8:12], "little")) & _MASK,
    )


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        # One round on (a, b, c), then the roles rotate by one.
        a = ((a - c) & _MASK) ^ _rotate(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _finish(a: int, b: int, c: int) -> tuple[int, int]:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotate(b, bits)) & _MASK
        a, b, c = b, c, a
    # After seven rounds the roles are rotated by one.
    return b, a
