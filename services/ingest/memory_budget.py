"""What each partition may take of this process's memory: it is bounded over all of them together."""

from collections.abc import Mapping

import structlog
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from services.ingest.settings import IngestSettings
from shared.service.errors import SettingsError
from shared.service.tasks import within
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection

log = structlog.get_logger()

# The link reads on while at most half of its prefetch waits: so half more is in memory, not twice as much.
BATCHES_KEPT_READY = 4
# Where the hub does not say in time, it is taken for a large one; what is wrong the receiver tells.
_MANY_PARTITIONS, _ANSWER_TIMEOUT_S = 32, 5.0


async def link_share(settings: IngestSettings, client: EventHubConsumerClient) -> tuple[int, int]:
    """Events, and bytes of them, that each link of a hub keeps ready."""
    partitions = await partitions_of(client) or _MANY_PARTITIONS
    return settings.prefetch_share(partitions), settings.link_bytes(partitions)


async def partitions_of(client: EventHubConsumerClient) -> int | None:
    """How many partitions a hub has; None where it does not say in time."""
    try:
        return len(await within(_ANSWER_TIMEOUT_S, client.get_partition_ids()))
    except (EventHubError, TimeoutError) as error:
        log.info("partitions_unknown", hub=client.eventhub_name, reason=str(error))
        return None


async def refuse_idle_workers(settings: IngestSettings) -> None:
    """Raises SettingsError where a hub has fewer partitions than there are to be workers."""
    connection = HubConnection.from_settings(settings)
    for hub in settings.hubs().values():
        async with consumer_client(connection, hub, settings.consumer_group) as client:
            partitions = await partitions_of(client)
        if partitions is not None and partitions < settings.workers:
            raise SettingsError(
                f"FLEETPRICE_INGEST_WORKERS: hub {hub} has {partitions} partitions, so {settings.workers} "
                "workers would leave some without any: name no more workers than partitions"
            )


def rows_bytes_of(settings: IngestSettings, workers: Mapping[int, object]) -> float:
    """Memory that the gathered rows of each partition may take, of those that this process owns now."""
    return settings.rows_memory_bytes / (len(settings.hubs()) * max(1, len(workers)))
