import asyncio
from contextlib import suppress

import pytest
from azure.eventhub.exceptions import ConnectError

from shared.service.errors import SourceUnavailable
from shared.streams.event_hubs import hub
from shared.streams.event_hubs.hub import Hub


class Client:
    """A client with an answer for the partitions; without one it is silent, and loses a cancellation."""

    eventhub_name = "telemetry"

    def __init__(self, answer=None):
        self.answer = answer
        self.is_asked = False

    async def get_partition_ids(self):
        self.is_asked = True
        try:
            if isinstance(self.answer, Exception):
                raise self.answer
            if self.answer is None:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.Event().wait()
            return self.answer
        finally:
            self.is_asked = False


async def test_a_hub_says_how_many_partitions_it_has():
    """A hub that answers is believed; one that refuses is a hub that does not answer."""
    assert await Hub(Client(["0", "1", "2"]), "ingest").count_partitions() == 3
    with pytest.raises(SourceUnavailable, match="refused"):
        await Hub(Client(ConnectError("refused")), "ingest").count_partitions()


async def test_a_silent_hub_holds_up_no_start(monkeypatch):
    """Once the time is up the caller continues and no request is left, even if a cancellation was lost."""
    monkeypatch.setattr(hub, "_ANSWER_TIMEOUT_S", 0.01)
    client = Client()
    with pytest.raises(SourceUnavailable):
        await Hub(client, "ingest").count_partitions()
    assert not client.is_asked
