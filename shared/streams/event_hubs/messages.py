"""Making and reading of the SDK's EventData."""

from datetime import UTC
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.streams.event import Event, decode_event

__all__ = (
    "EventData",
    "make_event",
    "read_body",
    "read_enqueued_us",
    "read_event",
    "read_property",
    "read_sequence_number",
)


def make_event(
    body: bytes,
    content_type: str | None = None,
    properties: dict[str | bytes, Any] | None = None,
    content_encoding: str | None = None,
) -> EventData:
    """Make an event to send; `properties` are its application properties."""
    event = EventData(body)
    if content_type is not None:
        event.content_type = content_type
    if content_encoding is not None:
        event.raw_amqp_message.properties.content_encoding = content_encoding  # type: ignore[union-attr]
    if properties is not None:
        event.properties = properties
    return event


def read_event(event: EventData) -> Event:
    """Return a received event, as ingest and the scorer get it."""
    return decode_event(event._message)  # noqa: SLF001 - what the SDK received [azure-eventhub 5.15.1]


def read_body(event: EventData) -> bytes:
    """Return the body of an event that this project sent, or is about to send.

    For events of others use `read_event`: here an AMQP value or sequence is empty.
    """
    if event.body_type is not AmqpMessageBodyType.DATA:
        return b""
    sections: Any = event.body
    return sections if isinstance(sections, bytes) else b"".join(sections)


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
