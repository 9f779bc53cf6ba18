"""Reading of a partition's events from its log, for tests that check what arrived."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.emulator.log.annotations import PARTITION_KEY
from services.emulator.log.partition_log import PartitionLog
from shared.amqp.sections import (
    APPLICATION_PROPERTIES,
    DATA,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    SEQUENCE,
    VALUE,
    decode_sections,
)

_CONTENT_TYPE_FIELD = 6


class StoredEvent(NamedTuple):
    """A decoded event; `body` is bytes, or the AMQP value or sequence if the sender used one."""

    partition_id: str
    sequence_number: int
    offset: str
    enqueued_at: datetime
    body: Any
    properties: dict[str, Any]
    partition_key: str | None
    content_type: str | None


def read_stored_events(log: PartitionLog, partition_id: str) -> Iterator[StoredEvent]:
    """Yield the retained events, oldest first. Raises DecodeError if an event is not an AMQP message."""
    for record in log.records():
        enqueued_at = datetime.fromtimestamp(record.enqueued_ms / 1000, UTC)
        yield StoredEvent(
            partition_id,
            record.sequence_number,
            str(record.offset),
            enqueued_at,
            *_decode_content(record.message),
        )


def _decode_content(message: bytes) -> tuple[Any, dict[str, Any], str | None, str | None]:
    """Return the body, application properties, partition key and content type of a message."""
    bodies: list[Any] = []
    found: dict[int, Any] = {}
    for code, value in decode_sections(message):
        if code in {DATA, SEQUENCE}:
            bodies.append(value)
        else:
            found[code] = value
    fields = [*(found.get(PROPERTIES) or []), *[None] * (_CONTENT_TYPE_FIELD + 1)]
    if VALUE in found:
        body: Any = found[VALUE]
    else:
        body = b"".join(bodies) if all(isinstance(part, bytes) for part in bodies) else bodies
    key = (found.get(MESSAGE_ANNOTATIONS) or {}).get(PARTITION_KEY)
    return body, found.get(APPLICATION_PROPERTIES) or {}, key, fields[_CONTENT_TYPE_FIELD]
