"""Fill a hub through the unmodified SDK, with the same number of events in every partition."""

import asyncio
from dataclasses import dataclass
from math import ceil

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from services.cli.bench.bodies import make_body

PARTITIONS = 4
# A batch is encoded once and sent several times, so that filling takes no longer than reading.
_SENDS_A_BATCH = 10
_MAX_FILE_ROWS = 150_000


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a hub.

    Each partition gets `batches` batches of `events` events, and each event has `pack` readings.
    """

    name: str
    content_type: str
    pack: int
    events: int
    batches: int

    @property
    def files_a_partition(self) -> int:
        """Return the number of files that ingest writes per partition, at least two.

        During the last commit no decoding is in progress; with one file that would hold for every commit.
        """
        return count_files(self.events * self.pack, self.batches)

    @property
    def events_a_partition(self) -> int:
        return self.events * self.batches

    @property
    def rows_a_partition(self) -> int:
        return self.events_a_partition * self.pack

    @property
    def readings(self) -> int:
        return self.rows_a_partition * PARTITIONS


def count_files(batch_rows: int, batches: int) -> int:
    """Return the number of files per partition, at least two.

    No file is so large that ingest would close it early for lack of memory.
    """
    return max(2, ceil(batch_rows * batches / _MAX_FILE_ROWS))


def round_batches(batch_rows: int, batches: int) -> int:
    """Return `batches`, or the next number with which all files of a partition have the same size."""
    files = count_files(batch_rows, batches)
    while batches % files:
        batches += 1
        files = count_files(batch_rows, batches)
    return batches


async def fill(event_hubs: str, hub: str, load: Load) -> None:
    """Send the whole load to the hub, to all partitions at the same time."""
    client = EventHubProducerClient.from_connection_string(event_hubs, eventhub_name=hub)
    async with client:
        await asyncio.gather(*(_fill_partition(client, partition, load) for partition in range(PARTITIONS)))


async def _fill_partition(client: EventHubProducerClient, partition: int, load: Load) -> None:
    first = partition * load.rows_a_partition
    for sent in range(0, load.batches, _SENDS_A_BATCH):
        batch = await client.create_batch(partition_id=str(partition))
        for number in range(load.events):
            event = EventData(make_body(load.content_type, first + number * load.pack, load.pack))
            event.content_type = load.content_type
            batch.add(event)
        first += load.events * load.pack
        for _ in range(min(_SENDS_A_BATCH, load.batches - sent)):
            await client.send_batch(batch)
