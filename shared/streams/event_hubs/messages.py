"""Making and reading of the SDK's EventData."""

from datetime import UTC
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.streams.event import decode_content_type

__all__ = (
    "EventData",
    "make_event",
    "read_body",
    "read_content_type",
    "read_enqueued_us",
    "read_property",
    "read_sequence_number",
)


def make_event(
    body: bytes, content_type: str | None = None, properties: dict[str | bytes, Any] | None = None
) -> EventData:
    """Make an event to send; `properties` are its application properties."""
    event = EventData(body)
    if content_type is not None:
        event.content_type = content_type
    if properties is not None:
        event.properties = properties
    return event


def read_body(event: EventData) -> bytes:
    """Return the event's body as bytes; empty if it is an AMQP value or sequence."""
    if event.body_type is not AmqpMessageBodyType.DATA:
        return b""
    sections: Any = event.body
    return sections if isinstance(sections, bytes) else b"".join(sections)


def read_content_type(event: EventData) -> str | None:
    """Return a received event's content type, or None if it has none; invalid UTF-8 is replaced.

    `EventData.content_type` would raise on invalid UTF-8.
    """
    properties: Any = event.raw_amqp_message.properties
    return None if properties is None else decode_content_type(properties.content_type)


def read_enqueued_us(event: EventData) -> int:
    """Return a received event's enqueued time in microseconds since the epoch.

    Raises ValueError if the event was not received from a hub.
    """
    at = event.enqueued_time
    if at is None:
        raise ValueError("an event that was not received has no enqueued time")
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)


def read_sequence_number(event: EventData) -> int:
    """Return a received event's sequence number.

    Raises ValueError if the event was not received from a hub.
    """
    if event.sequence_number is None:
        raise ValueError("an event that was not received has no sequence number")
    return int(event.sequence_number)


def read_property(event: EventData, name: str) -> Any:
    """Return an application property of an event, or None if it is absent.

    Bytes are decoded to str. `name` is looked up as bytes too, because the SDK gives names as bytes.
    """
    properties = event.properties or {}
    value = properties.get(name.encode(), properties.get(name))
    return value.decode() if isinstance(value, bytes) else value
