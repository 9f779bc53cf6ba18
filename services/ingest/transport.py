"""The thin edge to azure-eventhub: its events as ours."""

from collections.abc import Sequence
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.amqp import AmqpMessageBodyType

from services.ingest.events import Event
from shared.dead_letters.replayed import DeadLetterId
from shared.hubs.clients import ENQUEUED_TIME, OFFSET, SEQUENCE_NUMBER, content_type_in

_US_PER_MS = 1_000


def received(events: Sequence[EventData]) -> list[Event]:
    """Events of one partition as the SDK delivered them.

    Each event's annotations are read once from its message: the properties of EventData look them up, convert
    and check anew at every call, which costs as much as decoding the event.
    """
    taken = []
    for event in events:
        message: Any = event.raw_amqp_message
        annotations, properties = message.annotations, message.properties
        taken.append(
            Event(
                annotations[SEQUENCE_NUMBER],
                annotations[OFFSET].decode(),
                annotations[ENQUEUED_TIME] * _US_PER_MS,
                content_type_in(properties.content_type) if properties is not None else None,
                b"".join(message.body) if message.body_type is AmqpMessageBodyType.DATA else b"",
                DeadLetterId.of(message.application_properties),
            )
        )
    return taken
