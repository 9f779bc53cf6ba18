"""The unmodified SDK as a client, with the same output format as `raw_client`."""

import argparse
import asyncio
import json
import time

import uvloop
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext

from services.cli.bench.micro.raw_client import BODY_BYTES, wait_for_go
from shared.service.tasks import cancel_until_done

BATCH, PREFETCH = 1000, 5000


async def send(connection: str, hub: str, partition: str, events: int) -> float:
    body = b"z" * BODY_BYTES
    producer = EventHubProducerClient.from_connection_string(connection, eventhub_name=hub)
    async with producer:
        await producer.send_batch([EventData(body)], partition_id=partition)
        wait_for_go()
        start_s = time.perf_counter()
        for _ in range(events // BATCH):
            batch = await producer.create_batch(partition_id=partition)
            for _ in range(BATCH):
                batch.add(EventData(body))
            await producer.send_batch(batch)
        return time.perf_counter() - start_s


async def receive(connection: str, hub: str, partition: str, events: int) -> float:
    """Receive `events` events. Return the seconds from the first batch to the last.

    The time for opening the link is left out, because it does not belong to the throughput.
    """
    done = asyncio.Event()
    times_s: list[float] = []
    count = 0

    async def on_batch(_: PartitionContext, received: list[EventData]) -> None:
        nonlocal count
        count += len(received)
        times_s.append(time.perf_counter())
        if count >= events:
            done.set()

    consumer = EventHubConsumerClient.from_connection_string(
        connection, consumer_group="$Default", eventhub_name=hub
    )
    wait_for_go()
    async with consumer:
        reading = asyncio.create_task(
            consumer.receive_batch(
                on_batch,
                partition_id=partition,
                starting_position="-1",
                prefetch=PREFETCH,
                max_batch_size=PREFETCH,
            )
        )
        await done.wait()
        await cancel_until_done(reading)
    return times_s[-1] - times_s[0]


async def run() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m services.cli.bench.micro.sdk_client", description=__doc__
    )
    parser.add_argument("work", choices=("send", "receive"))
    parser.add_argument("--connection", required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--partition", required=True)
    parser.add_argument("--events", type=int, required=True)
    flags = parser.parse_args()
    do = send if flags.work == "send" else receive
    took_s = await do(flags.connection, flags.hub, flags.partition, flags.events)
    print(json.dumps({"events": flags.events, "took_s": took_s}))


if __name__ == "__main__":
    uvloop.run(run())
