"""Records that could not be decoded, as NDJSON: their bytes, why, and where they stand in the hub (pure)."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from shared.contract.buffer import DeadLetter

NAMED_BY_OPERATOR = "named by operator"
# The closed set that metrics count by: what stands before the colon of a reason.
CODES = ("empty", "malformed", "invalid", "too large", NAMED_BY_OPERATOR)
_EMPTY = "no record in the body"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def code_of(reason: str) -> str:
    """The reason without its particulars."""
    code = reason.partition(":")[0].strip()
    if code in CODES:
        return code
    return "empty" if code == _EMPTY else "malformed"


def encode_letters(stream: str, letters: Iterable[DeadLetter]) -> bytes:
    """One JSON object a line, in sequence."""
    return b"".join(msgspec.json.encode(_fields(stream, letter)) + b"\n" for letter in letters)


def _fields(stream: str, letter: DeadLetter) -> dict[str, object]:
    origin, bad = letter.origin, letter.bad
    return {
        "stream": stream,
        "partition": origin.partition,
        "sequence_number": origin.sequence_number,
        "offset": origin.offset,
        "line": bad.line,
        "enqueued_at": _EPOCH + timedelta(microseconds=origin.enqueued_us),
        "reason": bad.reason,
        "content_type": letter.content_type,
        "body": base64.b64encode(bad.body).decode(),
    }
