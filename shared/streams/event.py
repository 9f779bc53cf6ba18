"""An event, independent of the transport, and its decoding from an AMQP message (pure).

The SDK wraps each received message in an EventData. Making and reading that object costs a third of all
receiving time, more than everything this project does with the event. So the fields are read from the message
itself.
"""

from functools import lru_cache
from typing import Any

from msgspec import Struct

from shared.contract.dead_letter_id import DeadLetterId

# Annotations of a received message, as `EventData.system_properties` names them.
_SEQUENCE_NUMBER, _OFFSET, _ENQUEUED_TIME = b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time"
_US_PER_MS = 1_000


class Event(Struct, frozen=True, gc=False):
    """One event of one partition.

    `enqueued_us` is in microseconds since the epoch, UTC. `replay_of` is the dead letter that this event
    replaces, or None.
    """

    sequence_number: int
    offset: str
    enqueued_us: int
    content_type: str | None
    body: bytes
    replay_of: DeadLetterId | None = None


def decode_event(message: Any) -> Event:
    """Return the event in a message that the SDK received.

    The message is an `_pyamqp.message.Message` [azure-eventhub 5.15.1]. If its body is an AMQP value or
    sequence, the event's body is empty.
    """
    annotations, properties, sections = message.message_annotations, message.properties, message.data
    return Event(
        annotations[_SEQUENCE_NUMBER],
        annotations[_OFFSET].decode(),
        annotations[_ENQUEUED_TIME] * _US_PER_MS,
        decode_content_type(properties.content_type) if properties is not None else None,
        b"".join(sections) if sections else b"",
        DeadLetterId.from_properties(message.application_properties),
    )


@lru_cache(maxsize=256)
def decode_content_type(raw: bytes | str | None) -> str | None:
    """Return a message's content type as text; invalid UTF-8 is replaced."""
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw
