"""Dead letters as NDJSON: records that could not be decoded, with their reason and position. No I/O."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from shared.codec.body_decoder import NO_RECORD
from shared.codec.row_buffer import DeadLetter
from shared.streams.poison import NAMED_BY_OPERATOR, POISON

# The closed set of a metric's label: the part of a reason before its colon.
CODES = ("empty", "malformed", "invalid", "too large", NAMED_BY_OPERATOR, POISON)
_PIECE_BYTES = 2**20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Letter(Struct, frozen=True, omit_defaults=True):
    """One line of a dead-letter file. `body` holds the record's bytes, in standard base64.

    `properties` are the event's application properties. They are None in letters of earlier
    versions and, if they are large, in all letters of an event but the first.
    """

    stream: str
    partition: int
    sequence_number: int
    offset: str
    line: int
    enqueued_at: datetime
    reason: str
    content_type: str | None
    body: bytes
    content_encoding: str | None = None
    properties: Mapping[str, Any] | None = None


def reason_code(reason: str) -> str:
    """Return the code in CODES that a reason belongs to, without the reason's details."""
    code = reason.partition(":")[0].strip()
    if code in CODES:
        return code
    return "empty" if code == NO_RECORD else "malformed"


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
        letter.content_encoding,
        letter.properties,
    )
