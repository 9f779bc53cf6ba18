"""One send in flight to one partition; after a lost answer the hub is read before anything is sent again.

Azure Event Hubs has no idempotent producer, and the SDK's own retry resends blindly. So this module does the
retries. After a failure the link is closed, the partition is read from the position noted before the send,
and only events that are missing there are sent again. On Azure a delayed original can still land later;
readers recognise such duplicates (predictions by watermark, readings by key).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable, Sequence
from types import TracebackType
from typing import Self

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from shared.service.errors import Refused, SinkUnavailable, SourceUnavailable
from shared.service.logs import log
from shared.streams.event_hubs.clients import SingleSendProducerClient, consumer_client, producer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.errors import map_error
from shared.streams.event_hubs.partition_events import Gap, partition_events

_MAX_ATTEMPTS = 12
_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 8.0
_TRANSIENT = (EventHubError, OSError, TimeoutError, SourceUnavailable, Refused)
_GROUP = "$Default"

Identify = Callable[[EventData], Hashable]


class PartitionSender:
    """A sender to one partition.

    `identify` must return the same key for an event that is sent and for the same event read back.
    """

    def __init__(self, connection: HubConnection, hub: str, partition_id: str, identify: Identify) -> None:
        self._connection = connection
        self._hub = hub
        self._partition_id = partition_id
        self._identify = identify
        self._producer: SingleSendProducerClient | None = None
        self._was_accepted = False
        self.position = -1

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the link and note the partition's last sequence number.

        Raises SinkUnavailable if all of a bounded number of attempts fail, Refused at once if the hub refuses
        our credentials.
        """
        await self._retry(self._open, "opened")

    async def close(self) -> None:
        """Close the link, if there is one."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.close()

    async def send(self, events: Sequence[EventData]) -> None:
        """Send events in order, and after a failure only those that are missing in the partition.

        Raises SinkUnavailable if all of a bounded number of attempts fail, or Refused if the hub then refuses
        credentials that it accepted before. Afterwards `position` is at most the sequence number of the last
        event sent.
        """
        pending = list(events)

        async def send_pending() -> None:
            nonlocal pending
            if self._producer is None:
                pending = await self._find_missing(pending)
            await self._send_once(pending)
            pending = []

        await self._retry(send_pending, "sent")
        self.position += len(events)

    async def _find_missing(self, events: Sequence[EventData]) -> list[EventData]:
        """Return the events that are not in the partition after `position`."""
        client = consumer_client(self._connection, self._hub, _GROUP)
        async with client:
            last = await self._last_sequence(client)
            found: set[Hashable] = set()
            async for batch in partition_events(client, self._partition_id, self.position, last):
                if not isinstance(batch, Gap):
                    found.update(map(self._identify, batch))
        return [event for event in events if self._identify(event) not in found]

    async def _send_once(self, events: Sequence[EventData]) -> None:
        producer = self._open_producer()
        if len(events) == 1:
            # A batch would encode it twice, once to know its size: half the cost of a large event.
            await producer.send_event(events[0], partition_id=self._partition_id)
            return
        batch = await producer.create_batch(partition_id=self._partition_id)
        for event in events:
            try:
                batch.add(event)
            except ValueError:
                if not len(batch):
                    raise
                await producer.send_batch(batch)
                batch = await producer.create_batch(partition_id=self._partition_id)
                batch.add(event)
        if len(batch):
            await producer.send_batch(batch)

    async def _retry(self, attempt: Callable[[], Awaitable[None]], what: str) -> None:
        for tried in range(1, _MAX_ATTEMPTS + 1):
            try:
                await attempt()
            except _TRANSIENT as error:
                await self.close()
                mapped = map_error(error, self._hub, _GROUP)
                # A hub that accepted us may do so again: a key is put back, a clock is set right.
                if isinstance(mapped, Refused) and (tried == _MAX_ATTEMPTS or not self._was_accepted):
                    raise mapped from error
                if tried == _MAX_ATTEMPTS:
                    place = f"hub {self._hub}, partition {self._partition_id}"
                    raise SinkUnavailable(f"{place}: nothing {what} in {tried} attempts: {error}") from error
                partition = int(self._partition_id)
                log.warning(
                    "send_failed", hub=self._hub, partition=partition, attempts=tried, reason=str(error)
                )
                backoff_s = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (tried - 1))
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
            else:
                self._was_accepted = True
                return

    async def _open(self) -> None:
        producer = self._open_producer()
        await producer.open_partition(self._partition_id)
        self.position = await self._last_sequence(producer)

    async def _last_sequence(self, client: SingleSendProducerClient | EventHubConsumerClient) -> int:
        properties = await client.get_partition_properties(self._partition_id)
        return int(properties["last_enqueued_sequence_number"])

    def _open_producer(self) -> SingleSendProducerClient:
        if self._producer is None:
            self._producer = producer_client(self._connection, self._hub)
        return self._producer
