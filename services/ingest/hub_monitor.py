"""A look at the hub now and then: how far behind a stream is, and whether it is still the hub it was."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from azure.eventhub.exceptions import EventHubError
from prometheus_client import Gauge

from services.ingest.health import Health
from services.ingest.hub import Hub
from services.ingest.worker import PartitionWorker
from shared.service.errors import SettingsError
from shared.streams.metrics import NEXT_SEQUENCE

log = structlog.get_logger()

LAG_EVENTS = Gauge(
    "fleetprice_ingest_lag_events", "Events of an owned partition not yet taken in", ["hub", "partition"]
)
LAG_SECONDS = Gauge(
    "fleetprice_ingest_lag_seconds",
    "Age of the newest event taken in, while newer ones wait",
    ["hub", "partition"],
)


async def watch(hub: Hub, workers: Mapping[int, PartitionWorker], health: Health, interval_s: float) -> None:
    """Keep the lag gauges; returns once the hub has more partitions than at first.

    Raises SettingsError when the hub goes on refusing us, and HubRecreated when it is no longer the one that
    a worker was opened on: each link's first commit asks too, but while the new hub has fewer events than the
    old one had, nothing of it arrives to be committed.
    """
    at_first = 0
    while True:
        try:
            described = await hub.described()
            for worker in workers.values():
                hub.refuse_another(described.created_at, worker.pipeline.committer.source.created_at)
            await asyncio.gather(
                *(_look(hub, partition, worker, health) for partition, worker in workers.items())
            )
        except EventHubError as error:
            refusal = hub.refusal(error)
            _note_refusal(refusal, health)
            log.warning("hub_unanswered", hub=hub.name, reason=str(refusal or error))
        else:
            _check_refused_links(hub, workers, health)
            at_first = at_first or described.partitions
            if described.partitions > at_first:
                log.info("hub_grew", hub=hub.name, partitions=described.partitions, before=at_first)
                return
        await asyncio.sleep(interval_s)


def _check_refused_links(hub: Hub, workers: Mapping[int, PartitionWorker], health: Health) -> None:
    for partition, worker in workers.items():
        links = hub.client.links_opened[str(partition)]
        if health.is_turned_away(partition, worker.pipeline.next_expected, links, time.monotonic()):
            refusal = hub.link_refused(partition)
            _note_refusal(refusal, health)
            log.warning("hub_turns_away", hub=hub.name, partition=partition, reason=str(refusal))


def _note_refusal(refusal: SettingsError | None, health: Health) -> None:
    if refusal is not None and health.refused(time.monotonic()):
        raise refusal


async def _look(hub: Hub, partition: int, worker: PartitionWorker, health: Health) -> None:
    last = (await hub.reach(partition)).last
    next_expected = worker.pipeline.next_expected
    waiting = max(0, last + 1 - next_expected)
    newest_us = worker.pipeline.last_enqueued_us
    health.looked(partition, next_expected, waiting, time.monotonic())
    LAG_EVENTS.labels(hub.name, str(partition)).set(waiting)
    LAG_SECONDS.labels(hub.name, str(partition)).set(
        time.time() - newest_us / 1_000_000 if waiting and newest_us is not None else 0.0
    )


def forget_progress(hub: str, partition: int) -> None:
    """Another process tells of this partition from now on."""
    for gauge in (LAG_EVENTS, LAG_SECONDS, NEXT_SEQUENCE):
        gauge.remove(hub, str(partition))
