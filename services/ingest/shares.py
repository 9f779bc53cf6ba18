"""What each partition may take of this process's memory: it is bounded over all of them together."""

import asyncio
from collections.abc import Mapping

import structlog
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from services.ingest.settings import IngestSettings

log = structlog.get_logger()

# The link reads on while no more than a batch is left: so a quarter more is in memory, not twice as much.
BATCHES_KEPT_READY = 4
# Where the hub does not say in time, it is taken for a large one; what is wrong the receiver tells.
_MANY_PARTITIONS, _ANSWER_TIMEOUT_S = 32, 5.0


async def prefetch_of(settings: IngestSettings, client: EventHubConsumerClient) -> int:
    """Events that each link of a hub keeps ready."""
    partitions = _MANY_PARTITIONS
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            partitions = len(await client.get_partition_ids())
    except (EventHubError, TimeoutError) as error:
        log.info("partitions_unknown", hub=client.eventhub_name, reason=str(error))
    return settings.prefetch_share(partitions)


def rows_bytes_of(settings: IngestSettings, workers: Mapping[int, object]) -> float:
    """Memory that the gathered rows of each partition may take, of those that this process owns now."""
    return settings.rows_memory_bytes / (len(settings.hubs()) * max(1, len(workers)))
