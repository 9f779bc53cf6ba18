"""Dead letters as NDJSON: records that could not be decoded, with their reason and position. No I/O."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from shared.codec.row_buffer import DeadLetter

NAMED_BY_OPERATOR = "named by operator"
# The closed set of a metric's label: the part of a reason before its colon.
CODES = ("empty", "malformed", "invalid", "too large", NAMED_BY_OPERATOR)
_EMPTY = "no record in the body"
_PIECE_BYTES = 2**20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Letter(Struct, frozen=True):
    """One line of a dead-letter file. `body` holds the record's bytes, in standard base64."""

    stream: str
    partition: int
    sequence_number: int
    offset: str
    line: int
    enqueued_at: datetime
    reason: str
    content_type: str | None
    body: bytes


def reason_code(reason: str) -> str:
    """Return the code in CODES that a reason belongs to, without the reason's details."""
    code = reason.partition(":")[0].strip()
    if code in CODES:
        return code
    return "empty" if code == _EMPTY else "malformed"


async def encode_letters(stream: str, letters: Iterable[DeadLetter]) -> AsyncIterator[bytes]:
    """Encode the letters as NDJSON, in the given order.

    The bytes come in pieces of about a megabyte, for `Lake.write_pieces`.
    """
    lines, size_bytes = [], 0
    for letter in letters:
        lines.append(msgspec.json.encode(_to_letter(stream, letter)))
        size_bytes += len(lines[-1])
        if size_bytes >= _PIECE_BYTES:
            yield b"\n".join((*lines, b""))
            lines, size_bytes = [], 0
    if lines:
        yield b"\n".join((*lines, b""))


def _to_letter(stream: str, letter: DeadLetter) -> Letter:
    origin, bad = letter.origin, letter.bad
    return Letter(
        stream,
        origin.partition,
        origin.sequence_number,
        origin.offset,
        bad.line,
        _EPOCH + timedelta(microseconds=origin.enqueued_us),
        bad.reason,
        letter.content_type,
        bad.body,
    )
