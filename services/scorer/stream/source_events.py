"""The thin edge to azure-eventhub: events of the telemetry hub as values."""

from collections.abc import Sequence
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpMessageBodyType
from msgspec import Struct

from shared.hubs.clients import ENQUEUED_TIME, OFFSET, SEQUENCE_NUMBER, content_type_in

_US_PER_MS = 1_000


class SourceEvent(Struct, frozen=True):
    """One event as the hub delivered it; an AMQP value or sequence body has none of ours and is empty."""

    sequence: int
    offset: bytes
    enqueued_us: int
    content_type: str | None
    body: bytes


def received(events: Sequence[EventData]) -> list[SourceEvent]:
    """Each event's annotations are read once from its message.

    The properties of EventData look them up, convert and check anew at every call, which costs as much as
    decoding the event.
    """
    taken = []
    for event in events:
        message: Any = event.raw_amqp_message
        annotations, properties = message.annotations, message.properties
        taken.append(
            SourceEvent(
                annotations[SEQUENCE_NUMBER],
                annotations[OFFSET],
                annotations[ENQUEUED_TIME] * _US_PER_MS,
                content_type_in(properties.content_type) if properties is not None else None,
                b"".join(message.body) if message.body_type is AmqpMessageBodyType.DATA else b"",
            )
        )
    return taken
