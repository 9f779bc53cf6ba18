"""The real server in this process, and the unmodified Azure SDK as its client."""

import asyncio
import contextlib
import gc
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from services.emulator.event_hubs.server import EventHubsServer


@dataclass(frozen=True)
class Client:
    """The SDK, pointed at one hub. `connection_string` may be another than the server's own."""

    connection_string: str
    hub: str = "telemetry"
    group: str = "$Default"
    first_accepted: asyncio.Event = field(default_factory=asyncio.Event)

    def producer(self, **options):
        return EventHubProducerClient.from_connection_string(
            self.connection_string, eventhub_name=self.hub, **{"retry_total": 0, **options}
        )

    def consumer(self, **options):
        return EventHubConsumerClient.from_connection_string(
            self.connection_string, consumer_group=self.group, eventhub_name=self.hub, **options
        )

    async def send(self, *bodies, times=1, **placed):
        """One batch, or the same one several times; `placed` is a partition_id or a partition_key."""
        async with self.producer() as producer:
            for _ in range(times):
                batch = await producer.create_batch(**placed)
                for body in bodies:
                    batch.add(EventData(body))
                await producer.send_batch(batch)

    async def send_until_refused(self):
        """Single events "0", "1", … to partition 0 until the hub is gone; how many it accepted."""
        accepted = 0
        async with self.producer() as producer:
            with contextlib.suppress(EventHubError):
                while True:
                    await producer.send_batch([EventData(b"%d" % accepted)], partition_id="0")
                    accepted += 1
                    self.first_accepted.set()
        return accepted

    @asynccontextmanager
    async def reading(self, on_event, *, client_options=None, **options):
        """The SDK reads while the block lasts; its sockets close only if it is closed before cancelled."""
        async with self.consumer(**(client_options or {})) as consumer:
            task = asyncio.create_task(
                consumer.receive(on_event, **{"partition_id": None, "starting_position": "-1", **options})
            )
            yield
        # Its balancing would sleep for half a minute before it notices.
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def receive(self, count, *, timeout_s=20, **options):
        """The next `count` (partition id, event) pairs, from the beginning unless told otherwise."""
        received = []
        enough = asyncio.Event()

        async def on_event(context, event):
            received.append((context.partition_id, event))
            if len(received) >= count:
                enough.set()

        async with asyncio.timeout(timeout_s), self.reading(on_event, **options):
            await enough.wait()
        return received


@pytest.fixture
async def server(tmp_path):
    async with EventHubsServer(tmp_path) as server:
        yield server


@pytest.fixture
async def client(server):
    yield Client(server.connection_string)
    # What the SDK leaves in reference cycles is closed while there still is an event loop to close it in.
    gc.collect()
