"""How an SDK's receiving is ended, for certain."""

import asyncio

import structlog
from azure.eventhub.aio import EventHubConsumerClient

from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore

log = structlog.get_logger()

# How much longer than its drain a service takes to close its links and give back its partitions, at most.
RELEASE_GRACE_S = 5.0


async def end_receiving(
    client: EventHubConsumerClient,
    receiving: asyncio.Task[None],
    store: ResumingCheckpointStore,
    timeout_s: float,
) -> None:
    """Close every link of a `receive_batch`, give back its partitions and end it.

    What is not given back within `timeout_s` expires: the hub or the storage does not answer.
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
    # Only this tells the processor itself that it is over; it cancels the partitions, each once.
    await client.close()
    await cancel_until_done(receiving)
    await store.release()
