"""The unmodified SDK as a reader of the hub under test."""

import asyncio
from contextlib import asynccontextmanager

from tests.support.embedded_stack import PATIENCE_S


@asynccontextmanager
async def read_events(consumer, on_event, **options):
    """Read with the SDK during the block. Its sockets close only if it is closed before it is cancelled."""
    async with consumer:
        task = asyncio.create_task(consumer.receive(on_event, **{"starting_position": "-1", **options}))
        yield
    # Without this its balancing would sleep for half a minute before it ends.
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def receive_events(consumer, count, **options):
    """Return the next `count` (partition id, event) pairs, by default from the beginning."""
    pairs = []
    enough = asyncio.Event()

    async def on_event(context, event):
        pairs.append((context.partition_id, event))
        if len(pairs) >= count:
            enough.set()

    async with asyncio.timeout(PATIENCE_S), read_events(consumer, on_event, **options):
        await enough.wait()
    return pairs
