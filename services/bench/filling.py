"""Fills a hub through the unmodified SDK: the same number of events in every partition, known beforehand."""

import asyncio
from dataclasses import dataclass

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from services.bench.bodies import body

PARTITIONS = 4
# A batch is encoded once and sent several times: filling a hub must not take longer than reading it.
_SENDS_A_BATCH = 10


@dataclass(frozen=True, slots=True)
class Load:
    """`batches` sends of `events` events of `pack` readings, into each partition."""

    name: str
    content_type: str
    pack: int
    events: int
    batches: int

    @property
    def events_a_partition(self) -> int:
        return self.events * self.batches

    @property
    def rows_a_partition(self) -> int:
        return self.events_a_partition * self.pack

    @property
    def readings(self) -> int:
        return self.rows_a_partition * PARTITIONS


async def fill(event_hubs: str, hub: str, load: Load) -> None:
    """Send all of the load."""
    client = EventHubProducerClient.from_connection_string(event_hubs, eventhub_name=hub)
    async with client:
        await asyncio.gather(*(_fill_partition(client, partition, load) for partition in range(PARTITIONS)))


async def _fill_partition(client: EventHubProducerClient, partition: int, load: Load) -> None:
    first = partition * load.rows_a_partition
    for sent in range(0, load.batches, _SENDS_A_BATCH):
        batch = await client.create_batch(partition_id=str(partition))
        for number in range(load.events):
            event = EventData(body(load.content_type, first + number * load.pack, load.pack))
            event.content_type = load.content_type
            batch.add(event)
        first += load.events * load.pack
        for _ in range(min(_SENDS_A_BATCH, load.batches - sent)):
            await client.send_batch(batch)
