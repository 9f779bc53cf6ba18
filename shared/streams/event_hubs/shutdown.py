"""The end of the SDK's receiving, within a bounded time."""

import asyncio

import structlog
from azure.eventhub.aio import EventHubConsumerClient

from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore

log = structlog.get_logger()

# The time after a drain in which links are closed and partitions given back.
RELEASE_GRACE_S = 5.0


async def end_receiving(
    client: EventHubConsumerClient,
    receiving: asyncio.Task[None],
    store: ResumingCheckpointStore,
    timeout_s: float,
) -> None:
    """Close every link of a `receive_batch`, give back the partitions and end the receiving.

    If the hub or the storage does not answer, partitions that are not given back within `timeout_s` stay
    claimed until their ownership expires.
    """
    ending = asyncio.create_task(_end(client, receiving, store))
    await asyncio.wait([ending], timeout=timeout_s)
    if not ending.done():
        log.warning("partitions_not_released", hub=client.eventhub_name, after_s=timeout_s)
        await cancel_until_done(ending)
        await cancel_until_done(receiving)
    if not ending.cancelled():
        ending.result()


async def _end(
    client: EventHubConsumerClient, receiving: asyncio.Task[None], store: ResumingCheckpointStore
) -> None:
    # Only `close` ends the processor itself; it cancels each partition once.
    await client.close()
    await cancel_until_done(receiving)
    await store.release()
