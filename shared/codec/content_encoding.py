"""Event bodies that their sender compressed with gzip, expanded within a bound."""

import zlib

from shared.service.errors import BadRecord

# A few kilobytes of gzip may expand to gigabytes.
MAX_EXPANDED_BYTES = 32 * 2**20
# Each member copies the rest of the body, so a body of thousands of them would take seconds.
_MAX_MEMBERS = 64
_GZIP_NAMES = frozenset({"gzip", "x-gzip"})  # RFC 9110, section 8.4.1.3
_GZIP_FORMAT = 31  # zlib's `wbits` for a gzip header and trailer
GZIP_MAGIC = b"\x1f\x8b"


def is_gzip(content_encoding: str | None) -> bool:
    """Return whether a content encoding is gzip.

    Any other encoding is ignored: senders write the character set there, and IoT Hub asks for `utf-8`.
    """
    return content_encoding is not None and content_encoding.strip().lower() in _GZIP_NAMES


def expand_gzip(body: bytes) -> bytes:
    """Return the content of a gzip body, of all its members.

    Raises BadRecord if the body is not gzip, is cut off, or holds more than MAX_EXPANDED_BYTES.
    """
    pieces: list[bytes] = []
    left = MAX_EXPANDED_BYTES
    rest = body
    for _ in range(_MAX_MEMBERS):
        member = zlib.decompressobj(_GZIP_FORMAT)
        try:
            piece = member.decompress(rest, left + 1)
        except zlib.error as error:
            raise BadRecord(f"malformed: the body is no gzip: {error}") from error
        left -= len(piece)
        if left < 0:
            raise BadRecord(f"too large: a gzip body holds at most {MAX_EXPANDED_BYTES} bytes")
        if not member.eof:
            raise BadRecord("malformed: the gzip body is cut off")
        pieces.append(piece)
        rest = member.unused_data.lstrip(b"\0")  # gzip's own padding
        if not rest:
            return b"".join(pieces)
    raise BadRecord(f"too large: a gzip body holds at most {_MAX_MEMBERS} members")
