"""The unmodified SDK as a reader of the hub under test."""

import asyncio
from contextlib import asynccontextmanager

from tests.support.embedded_stack import PATIENCE_S


@asynccontextmanager
async def reading(consumer, on_event, **options):
    """The SDK reads while the block lasts; its sockets close only if it is closed before cancelled."""
    async with consumer:
        task = asyncio.create_task(consumer.receive(on_event, **{"starting_position": "-1", **options}))
        yield
    # Its balancing would sleep for half a minute before it notices.
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def received(consumer, count, **options):
    """The next `count` (partition id, event) pairs, from the beginning unless told otherwise."""
    pairs = []
    enough = asyncio.Event()

    async def on_event(context, event):
        pairs.append((context.partition_id, event))
        if len(pairs) >= count:
            enough.set()

    async with asyncio.timeout(PATIENCE_S), reading(consumer, on_event, **options):
        await enough.wait()
    return pairs
