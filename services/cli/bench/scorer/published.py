"""The progress of the scorer, seen in its output, which the benchmark process reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from services.cli.bench.hub_load import PARTITIONS
from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.messages import read_body, read_property


class Published:
    """The output events received so far.

    The output is complete once the last source event of every partition is priced.
    """

    def __init__(self, last: int) -> None:
        self.events = self.size_bytes = 0
        self.last_enqueued_s = 0.0
        self._last = last
        self._waiting = {str(partition) for partition in range(PARTITIONS)}
        self._is_complete = asyncio.Event()

    async def on_batch(self, context: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            self.events += 1
            self.size_bytes += len(read_body(event))
            if event.enqueued_time is not None:
                self.last_enqueued_s = max(self.last_enqueued_s, event.enqueued_time.timestamp())
            if read_property(event, "last_sequence") == self._last:
                self._waiting.discard(context.partition_id)
        if not self._waiting:
            self._is_complete.set()

    async def wait_until_complete(self) -> None:
        """Wait until the last source event of every partition is priced."""
        await self._is_complete.wait()


@asynccontextmanager
async def watch_published(event_hubs: str, hub: str, last: int) -> AsyncIterator[Published]:
    """Watch `hub` for the scorer's output during the block.

    `last` is the sequence number of the last source event in every partition.
    """
    client = EventHubConsumerClient.from_connection_string(event_hubs, "$Default", eventhub_name=hub)
    async with client:
        seen = Published(last)
        receiving = asyncio.create_task(client.receive_batch(seen.on_batch, starting_position="-1"))
        try:
            yield seen
        finally:
            await cancel_until_done(receiving)
