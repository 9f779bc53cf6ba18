"""An event, independent of the transport: its decoding from an AMQP message, and that of its body (pure).

The SDK wraps each received message in an EventData. Making and reading that object costs a third of all
receiving time, more than everything this project does with the event. So the fields are read from the message
itself.
"""

from functools import lru_cache
from typing import Any

from msgspec import Struct

from shared.codec.body_decoder import BodyDecoder, Decoded, reject_body
from shared.contract.dead_letter_id import DeadLetterId
from shared.streams.amqp_values import read_body_without_data

# Annotations of a received message, as `EventData.system_properties` names them.
SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME = b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time"
_US_PER_MS = 1_000


class Event(Struct, frozen=True, gc=False):
    """One event of one partition.

    `enqueued_us` is in microseconds since the epoch, UTC. `replay_of` is the dead letter that this event
    replaces, or None. `properties` are the application properties, as the SDK gives them. `fault` is why
    `body` cannot be decoded (it is then the JSON of an AMQP value or sequence), or None.
    """

    sequence_number: int
    offset: str
    enqueued_us: int
    content_type: str | None
    body: bytes
    replay_of: DeadLetterId | None = None
    content_encoding: str | None = None
    properties: dict[Any, Any] | None = None
    fault: str | None = None


def decode_event(message: Any) -> Event:
    """Return the event in a message that the SDK received.

    The message is an `_pyamqp.message.Message` [azure-eventhub 5.15.1].
    """
    annotations, properties, sections = message.message_annotations, message.properties, message.data
    body, fault = (
        (b"".join(sections), None) if sections else read_body_without_data(message.value, message.sequence)
    )
    application_properties = message.application_properties
    return Event(
        annotations[SEQUENCE_NUMBER],
        annotations[OFFSET].decode(),
        annotations[ENQUEUED_TIME] * _US_PER_MS,
        _decode_symbol(properties.content_type) if properties is not None else None,
        body,
        DeadLetterId.from_properties(application_properties),
        _decode_symbol(properties.content_encoding) if properties is not None else None,
        application_properties,
        fault,
    )


@lru_cache(maxsize=256)
def _decode_symbol(raw: bytes | str | None) -> str | None:
    """Return a content type or content encoding as text; invalid UTF-8 is replaced."""
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw


def decode_body(decoder: BodyDecoder, event: Event) -> Decoded:
    """Decode the records of an event. No content of an event raises an error."""
    if event.fault is not None:
        return reject_body(event.body, event.fault)
    return decoder.decode(event.body, event.content_type, event.content_encoding)
