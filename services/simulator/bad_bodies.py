"""Bodies that are bad on purpose: each is one event and must become exactly one dead letter. Pure.

A body is a function of (seed, partition, number of the bad intent, index), so that the same body can be made
again if the outcome of a send is unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from shared.codec.body_decoder import ARROW, JSON, NDJSON
from shared.contract.columns import MAX_RECORD_BYTES
from shared.vehicles.fleet import Trait
from shared.vehicles.hash_random import uniform

_LARGE_NOTE_BYTES = 3 * MAX_RECORD_BYTES


@dataclass(frozen=True, slots=True)
class BadBody:
    """A bad event. `message_id` identifies the event, because its body may not be unique."""

    message_id: str
    content_type: str
    body: bytes


def _reading(message_id: str, **fields: object) -> bytes:
    """Encode a good reading with some fields replaced or added by `fields`."""
    good = {
        "vehicle_id": message_id,
        "reading_no": 1,
        "reading_at": "2020-01-01T00:00:00Z",
        "make": "ford",
        "model": "Focus",
        "year": 2018,
        "speed_kmh": 50.0,
    }
    return msgspec.json.encode(good | fields)


def _malformed(message_id: str) -> tuple[str, bytes]:
    return JSON, b'{"vehicle_id": "' + message_id.encode() + b'", reading_no: one}'


def _truncated(message_id: str) -> tuple[str, bytes]:
    body = _reading(message_id)
    return JSON, body[: len(body) * 2 // 3]


def _not_utf8(message_id: str) -> tuple[str, bytes]:
    return JSON, _reading(message_id).replace(b"Focus", b"Fo\xff\xfe\xc3s")


def _empty(_message_id: str) -> tuple[str, bytes]:
    return JSON, b""


def _too_large(message_id: str) -> tuple[str, bytes]:
    return JSON, _reading(message_id, note="x" * _LARGE_NOTE_BYTES)


def _wrong_typed(message_id: str) -> tuple[str, bytes]:
    return NDJSON, _reading(message_id, speed_kmh="fast")


def _out_of_range(message_id: str) -> tuple[str, bytes]:
    return NDJSON, _reading(message_id, speed_kmh=90_000.0)


def _not_arrow(message_id: str) -> tuple[str, bytes]:
    return ARROW, b"\xff\xff\xff\xff" + message_id.encode()


KINDS: tuple[Callable[[str], tuple[str, bytes]], ...] = (
    _malformed,
    _truncated,
    _not_utf8,
    _empty,
    _too_large,
    _wrong_typed,
    _out_of_range,
    _not_arrow,
)


def bad_bodies(seed: int, partition: int, number: int, count: int) -> list[BadBody]:
    """Make the `count` bodies of bad intent `number` of a partition."""
    draws = uniform(seed, Trait.BAD_KIND, partition, number, np.arange(count))
    kinds = (draws * len(KINDS)).astype(np.int64).tolist()
    return [
        BadBody(message_id, *KINDS[kind](message_id))
        for index, kind in enumerate(kinds)
        for message_id in (f"bad-s{seed}-p{partition}-{number}-{index}",)
    ]


def count_bad(seed: int, partition: int, number: int, readings: int, share: float) -> int:
    """Return how many bad bodies accompany the readings of intent `number`."""
    if not share:
        return 0
    draws = uniform(seed, Trait.BAD_SHARE, partition, number, np.arange(readings))
    return int(np.count_nonzero(draws < share))
