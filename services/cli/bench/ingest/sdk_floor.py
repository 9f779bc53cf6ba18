"""The bare SDK in a separate process: the floor of every consumer that is built on the SDK.

`python -m services.cli.bench.ingest.sdk_floor HUB PARTITION,PARTITION… EVENTS PREFETCH` reads EVENTS events
in total from the beginnings of those partitions. Its `receive_batch` handler reads the body, sequence number,
offset and enqueued time of each event and does nothing with them. It uses uvloop and a frozen heap, like
ingest. It prints one JSON line when the first events arrive and one when it has all of them. The environment
variable FLEETPRICE_EVENT_HUBS holds the connection string of the namespace.
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
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from shared.service.tasks import cancel_until_done

_COLLECT_EVERY_OBJECTS = 20_000


async def _receive(hub: str, partitions: list[str], events: int, prefetch: int) -> None:
    client = EventHubConsumerClient.from_connection_string(
        os.environ["FLEETPRICE_EVENT_HUBS"], "$Default", eventhub_name=hub
    )
    seen = size_bytes = 0
    done = asyncio.Event()

    async def on_batch(_context: PartitionContext, batch: list[EventData]) -> None:
        nonlocal seen, size_bytes
        if not seen:
            _report("started", 0)
        for event in batch:
            body: Any = event.body
            size_bytes += len(b"".join(body))
            _ = event.sequence_number, event.offset, event.enqueued_time
        seen += len(batch)
        if seen >= events:
            done.set()

    async with client:
        receiving = [
            asyncio.create_task(
                client.receive_batch(
                    on_batch,
                    max_batch_size=prefetch,
                    partition_id=partition,
                    starting_position="-1",
                    prefetch=prefetch,
                )
            )
            for partition in partitions
        ]
        await done.wait()
        _report("finished", size_bytes)
        await asyncio.gather(*map(cancel_until_done, receiving))


def _report(event: str, size_bytes: int) -> None:
    line = {"event": event, "clock_s": time.monotonic(), "cpu_s": time.process_time(), "bytes": size_bytes}
    print(json.dumps(line), flush=True)  # noqa: T201 - the output of this process


def main(arguments: list[str]) -> None:
    hub, partitions, events, prefetch = arguments
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY_OBJECTS)
    uvloop.run(_receive(hub, partitions.split(","), int(events), int(prefetch)))


if __name__ == "__main__":
    main(sys.argv[1:])
