"""The bare SDK from hub to hub in a separate process: no scorer built on the SDK can be faster.

`python -m services.cli.bench.scorer.sdk_floor HUB OUTPUT_HUB EVENTS OUTPUTS BYTES PREFETCH` reads EVENTS
events of each partition, and looks at their bodies, sequence numbers, offsets and enqueued times. Spread
evenly over these events, it sends OUTPUTS events of BYTES bytes to the same partition of OUTPUT_HUB: as many
and as large as the output of the scorer. It decodes nothing, prices nothing and sends no properties.

Like the scorer, it uses uvloop and a frozen heap. It prints one JSON line when the first events arrive, and
one when the last output event is sent. The environment variable FLEETPRICE_EVENT_HUBS holds the connection
string of the namespace.
"""

import asyncio
import gc
import json
import os
import sys
import time
from typing import Any

import uvloop
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext

from services.cli.bench.hub_load import PARTITIONS
from shared.service.tasks import cancel_until_done

_COLLECT_EVERY_OBJECTS = 20_000


class Loop:
    """A loop that receives events and sends output events.

    `done` is set once the loop has sent all output events of all partitions.
    """

    def __init__(self, producer: EventHubProducerClient, events: int, outputs: int, size_bytes: int) -> None:
        self.done = asyncio.Event()
        self._producer = producer
        self._events, self._outputs = events, outputs
        self._body = b"z" * size_bytes
        self._received: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._bytes = 0

    async def on_batch(self, context: PartitionContext, batch: list[EventData]) -> None:
        """Read a batch of events, and send a proportional number of output events."""
        partition = context.partition_id
        if not self._received:
            _report("started")
        for event in batch:
            body: Any = event.body
            self._bytes += len(b"".join(body))
            _ = event.sequence_number, event.offset, event.enqueued_time
        self._received[partition] = received = self._received.get(partition, 0) + len(batch)
        while self._sent.get(partition, 0) < received * self._outputs // self._events:
            await self._producer.send_batch([EventData(self._body)], partition_id=partition)
            self._sent[partition] = self._sent.get(partition, 0) + 1
        if sum(self._sent.values()) >= self._outputs * PARTITIONS:
            self.done.set()


async def _run(hub: str, output_hub: str, events: int, outputs: int, size_bytes: int, prefetch: int) -> None:
    azure = os.environ["FLEETPRICE_EVENT_HUBS"]
    consumer = EventHubConsumerClient.from_connection_string(azure, "$Default", eventhub_name=hub)
    producer = EventHubProducerClient.from_connection_string(azure, eventhub_name=output_hub)
    async with consumer, producer:
        loop = Loop(producer, events, outputs, size_bytes)
        receiving = [
            asyncio.create_task(
                consumer.receive_batch(
                    loop.on_batch,
                    max_batch_size=prefetch,
                    partition_id=str(partition),
                    starting_position="-1",
                    prefetch=prefetch,
                )
            )
            for partition in range(PARTITIONS)
        ]
        await loop.done.wait()
        _report("finished")
        await asyncio.gather(*map(cancel_until_done, receiving))


def _report(event: str) -> None:
    line = {"event": event, "clock_s": time.monotonic(), "cpu_s": time.process_time()}
    print(json.dumps(line), flush=True)  # noqa: T201 - the output of this process


def main(arguments: list[str]) -> None:
    hub, output_hub, *numbers = arguments
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY_OBJECTS)
    uvloop.run(_run(hub, output_hub, *map(int, numbers)))


if __name__ == "__main__":
    main(sys.argv[1:])
