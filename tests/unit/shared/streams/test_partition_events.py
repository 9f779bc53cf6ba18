import asyncio

from azure.eventhub.exceptions import AuthenticationError

from shared.streams.event_hubs import partition_events as module
from shared.streams.event_hubs.messages import EventData
from shared.streams.event_hubs.partition_events import partition_events


class QuietClient:
    """A client whose links bring nothing before their tokens run out, except the last."""

    eventhub_name = "telemetry"
    _consumer_group = "$Default"

    def __init__(self, quiet_links):
        self.quiet_links = quiet_links

    async def receive_batch(self, on_batch, **_options):
        if self.quiet_links:
            self.quiet_links -= 1
            raise AuthenticationError("CBS Authentication Expired.")
        event = EventData(b"")
        event._raw_amqp_message._annotations = {b"x-opt-sequence-number": 0}
        await on_batch(None, [event])
        await asyncio.Event().wait()


async def test_a_night_without_traffic_is_no_failure(monkeypatch):
    """A reader whose token runs out every hour without an event in between goes on for ever."""
    monkeypatch.setattr(module, "_STEADY_S", 0.0)  # as if each of the links had been open for an hour
    client = QuietClient(quiet_links=8)
    assert len([batch async for batch in partition_events(client, "0", until=0)]) == 1
    assert client.quiet_links == 0
