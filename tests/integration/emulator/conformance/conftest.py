"""Both servers in this process, and the unmodified Python SDK as any program would use it."""

import gc
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from azure.eventhub import EventData
from azure.eventhub import EventHubConsumerClient as SyncConsumer
from azure.eventhub import EventHubProducerClient as SyncProducer
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from tests.support.receiving import read_events, receive_events

BALANCED_READER = Path(__file__).with_name("balanced_reader.py")


@dataclass(frozen=True)
class Sdk:
    """The SDK's clients, pointed at one hub and group."""

    connection_string: str
    storage: str
    hub: str = "telemetry"
    group: str = "$Default"

    def at(self, **changes):
        return replace(self, **changes)

    def producer(self, kind=EventHubProducerClient, **options):
        return kind.from_connection_string(
            self.connection_string, eventhub_name=self.hub, **{"retry_total": 0, **options}
        )

    def sync_producer(self, **options):
        return self.producer(SyncProducer, **options)

    def consumer(self, kind=EventHubConsumerClient, **options):
        return kind.from_connection_string(
            self.connection_string, consumer_group=self.group, eventhub_name=self.hub, **options
        )

    def sync_consumer(self, **options):
        return self.consumer(SyncConsumer, **options)

    def checkpoints(self):
        return BlobCheckpointStore.from_connection_string(self.storage, "checkpoints")

    async def send(self, *bodies, **placed):
        events = [body if not isinstance(body, bytes) else EventData(body) for body in bodies]
        async with self.producer() as producer:
            await producer.send_batch(events, **placed)

    def reading(self, on_event, *, client_options=None, **options):
        """Let the SDK read during the block."""
        return read_events(self.consumer(**(client_options or {})), on_event, **options)

    async def receive(self, count, *, client_options=None, **options):
        """Return the next `count` events, by default from the beginning."""
        pairs = await receive_events(self.consumer(**(client_options or {})), count, **options)
        return [event for _, event in pairs]


@pytest.fixture
async def sdk(world):
    yield Sdk(world.hub.connection_string, world.storage.connection_string)
    # Close what the SDK leaves in reference cycles while there still is an event loop.
    gc.collect()
