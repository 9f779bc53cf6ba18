"""The progress of a stream: checkpoints, lag and health."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from prometheus_client import Gauge

from services.ingest.health import Health
from services.ingest.partition import PartitionIngest
from shared.lake.slots.footer import Head
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.hub import Hub
from shared.streams.partition_task import PartitionTask

log = structlog.get_logger()

LAG_EVENTS = Gauge(
    "fleetprice_ingest_lag_events", "Events of an owned partition not yet taken in", ["hub", "partition"]
)
LAG_SECONDS = Gauge(
    "fleetprice_ingest_lag_seconds",
    "Age of the newest event taken in, while newer ones wait",
    ["hub", "partition"],
)


class StreamProgress:
    """A recorder of the progress of a stream's partitions."""

    def __init__(self, stream: str, hub: Hub, store: ResumingCheckpointStore, health: Health) -> None:
        self._stream = stream
        self._hub = hub
        self._store = store
        self._health = health
        self._open: set[int] = set()

    async def note_start(self, partition: int, head: Head, *, is_first: bool) -> None:
        """Write a checkpoint, since KEDA takes a partition without one for all lag or for none."""
        self._open.add(partition)
        await self._note(partition, head, is_first=is_first)

    async def note_commit(self, partition: int, head: Head) -> None:
        """Record a commit, after which the partition's chain ends at `head`, and write a checkpoint."""
        failed_for_s = self._health.note_commit(time.monotonic())
        if failed_for_s is not None:
            log.info("lake_available", stream=self._stream, after_s=round(failed_for_s, 1))
        await self._note(partition, head)

    async def _note(self, partition: int, head: Head, *, is_first: bool = False) -> None:
        last, offset = head.next_first - 1, head.last_offset or "-1"
        await self._store.note_progress(partition, last, offset, is_first=is_first)

    def forget(self, partition: int) -> None:
        """Drop a partition's lag and health, because another process reports them from now on."""
        self._open.discard(partition)
        self._health.forget(partition)
        for gauge in (LAG_EVENTS, LAG_SECONDS):
            gauge.remove(self._hub.name, str(partition))

    async def observe(self, owned: Mapping[int, PartitionTask[PartitionIngest]]) -> None:
        """Set the lag gauges.

        Raises Refused if the hub has kept closing a partition's links past the grace period.
        """
        await asyncio.gather(*(self._measure_lag(partition, task) for partition, task in owned.items()))
        for partition, task in owned.items():
            links = self._hub.count_links_opened(partition)
            if not self._health.is_link_refused(partition, task.next_expected, links, time.monotonic()):
                continue
            refusal = self._hub.describe_refused_link(partition)
            log.warning("hub_turns_away", hub=self._hub.name, partition=partition, reason=str(refusal))
            if self._health.note_refusal(time.monotonic()):
                raise refusal

    async def _measure_lag(self, partition: int, task: PartitionTask[PartitionIngest]) -> None:
        last = (await self._hub.bounds(partition)).last
        if partition not in self._open:
            return  # it was closed while the hub was asked
        waiting = max(0, last + 1 - task.next_expected)
        newest_us = task.handler.last_enqueued_us
        self._health.note_waiting(partition, task.next_expected, waiting, time.monotonic())
        LAG_EVENTS.labels(self._hub.name, str(partition)).set(waiting)
        LAG_SECONDS.labels(self._hub.name, str(partition)).set(
            time.time() - newest_us / 1_000_000 if waiting and newest_us is not None else 0.0
        )
