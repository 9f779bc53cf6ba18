"""A look at the hub now and then: how far behind a stream is, and whether it is still the hub it was."""

import asyncio
from collections.abc import Mapping
from time import time

import structlog
from azure.eventhub.exceptions import EventHubError
from prometheus_client import Gauge

from services.ingest.hub import Hub
from services.ingest.worker import PartitionWorker
from shared.errors import HubRecreated

log = structlog.get_logger()

LAG_EVENTS = Gauge("fleetprice_ingest_lag_events", "Events not yet taken in", ["hub", "partition"])
LAG_SECONDS = Gauge(
    "fleetprice_ingest_lag_seconds",
    "Age of the newest event taken in, while newer ones wait",
    ["hub", "partition"],
)
INTERVAL_S = 10.0


async def watch(hub: Hub, workers: Mapping[int, PartitionWorker], interval_s: float = INTERVAL_S) -> None:
    """Keep the lag gauges; raises HubRecreated when the hub is no longer the one that a worker was opened on.

    The SDK reconnects to a re-created hub without a word, and its first events would look as seen before.
    """
    while True:
        await asyncio.sleep(interval_s)
        try:
            created_at = await hub.created_at()
            await asyncio.gather(*(_look(hub, partition, worker) for partition, worker in workers.items()))
        except EventHubError as error:
            log.warning("hub_unanswered", hub=hub.name, reason=str(error))
            continue
        for worker in workers.values():
            known = worker.pipeline.committer.source.created_at
            if known != created_at:
                raise HubRecreated(
                    f"the hub {hub.name} was re-created at {created_at} while events of the one of {known} "
                    "were landing: start again to see what to change"
                )


async def _look(hub: Hub, partition: int, worker: PartitionWorker) -> None:
    last = (await hub.reach(partition)).last
    waiting = max(0, last + 1 - worker.pipeline.next_expected)
    newest_us = worker.pipeline.last_enqueued_us
    LAG_EVENTS.labels(hub.name, str(partition)).set(waiting)
    LAG_SECONDS.labels(hub.name, str(partition)).set(
        time() - newest_us / 1_000_000 if waiting and newest_us is not None else 0.0
    )
