"""The thin edge to azure-eventhub: its events as ours."""

from collections.abc import Sequence

from azure.eventhub import EventData

from services.ingest.events import Event
from shared.hubs.clients import body_of, enqueued_us, sequence_of


def received(events: Sequence[EventData]) -> list[Event]:
    """Events of one partition as the SDK delivered them."""
    return [
        Event(sequence_of(event), str(event.offset), enqueued_us(event), event.content_type, body_of(event))
        for event in events
    ]
