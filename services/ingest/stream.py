"""One stream: the unmodified EventProcessor over its hub, each claimed partition starting from the lake."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import structlog
from azure.eventhub import CloseReason
from azure.eventhub.aio import PartitionContext
from prometheus_client import Gauge

from services.ingest.checkpoints import CheckpointHint
from services.ingest.commit import Committer, Overtaken, Source
from services.ingest.health import Health
from services.ingest.hub import Hub, HubIdentityCheck, PartitionBounds
from services.ingest.hub_monitor import forget_progress, watch
from services.ingest.memory_budget import BATCHES_KEPT_READY, link_share, rows_bytes_of
from services.ingest.partition import PartitionPipeline, Start
from services.ingest.probe import try_to_write
from services.ingest.reopen_reasons import REOPENED, cause_of
from services.ingest.settings import IngestSettings
from services.ingest.sweep import sweep
from services.ingest.worker import PartitionWorker
from shared.lake.client import Lake
from shared.lake.parquet import encode
from shared.lake.slots.chain import find_heads
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.root import find_chains
from shared.lake.slots.slot import ChainKey
from shared.service.errors import HubRecreated
from shared.service.tasks import cancel_until_done
from shared.streams.event import Event
from shared.streams.event_hubs.clients import LinkCountingConsumerClient
from shared.streams.event_hubs.shutdown import RELEASE_GRACE_S, end_receiving

log = structlog.get_logger()

_MAX_WAIT_S = 1.0  # how often an idle partition's callback looks whether its worker still lives
OWNED = Gauge("fleetprice_ingest_owned_partitions", "Partitions that this process lands", ["hub"])


async def encode_aside(table: pa.Table, footer: Footer) -> bytes:
    """Encode in a thread: Arrow lets go of the interpreter, so other partitions take in events meanwhile."""
    return await asyncio.to_thread(encode, table, footer)


class StreamIngest:
    """Lands one stream. `run` until told to stop, or until something needs attention."""

    def __init__(
        self,
        settings: IngestSettings,
        stream: str,
        lake: Lake,
        client: LinkCountingConsumerClient,
        checkpoints: CheckpointHint,
    ) -> None:
        self.stream = stream
        self.workers: dict[int, PartitionWorker] = {}
        self._settings = settings
        self._lake = lake
        self._hub = Hub(client)
        self._checkpoints = checkpoints
        self._contract = settings.contract(stream)
        self._named = settings.named_events(stream)
        self._skipped_at: dict[int, int] = {}
        self._health = Health(settings.refusal_grace_s, settings.stall_after_s)
        self._is_draining = False
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_ready(self) -> bool:
        """Owns partitions, and what it takes in gets committed."""
        since_s = [worker.pipeline.uncommitted_since_s for worker in self.workers.values()]
        return bool(self.workers) and self._health.is_well(since_s, time.monotonic())

    def heads(self) -> dict[ChainKey, Head]:
        """How far the chains of the partitions owned now have come; without those that have no file yet."""
        committers = [worker.pipeline.committer for worker in self.workers.values()]
        return {one.lane: one.head for one in committers if one.head is not None}

    async def run(self, stop: asyncio.Event) -> None:
        """Take in events until `stop`, then drain; raises NeedsAttention where a person must act."""
        while await self._receive(stop):
            # The SDK's processor asks for a hub's partitions once: for the new ones it takes another.
            self.workers.clear()
            self._is_draining = False

    async def _receive(self, stop: asyncio.Event) -> bool:
        """Whether to go on: the hub has more partitions than when this began."""
        prefetch, link_bytes = await link_share(self._settings, self._hub.client)
        stopping = asyncio.create_task(stop.wait())
        receiving = asyncio.create_task(
            self._hub.client.receive_events(
                self._on_batch,
                link_bytes=link_bytes,
                max_batch_size=max(1, prefetch // BATCHES_KEPT_READY),
                max_wait_time=_MAX_WAIT_S,
                starting_position="-1",
                prefetch=prefetch,
                on_error=self._on_error,
                on_partition_initialize=self._on_initialize,
                on_partition_close=self._on_close,
            )
        )
        watching = asyncio.create_task(
            watch(self._hub, self.workers, self._health, self._settings.look_interval_s)
        )
        ends: set[asyncio.Future[Any]] = {stopping, receiving, watching, self._fatal}
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await cancel_until_done(watching)
        await self._drain(receiving)
        for end in ended - {stopping}:
            end.result()
        return ended == {watching}

    async def resume(self, partition_ids: Sequence[str]) -> dict[str, int]:
        """The last sequence number that the lake holds of each claimed partition; opens new ones."""
        claimed = [int(partition_id) for partition_id in partition_ids]
        # One that is closed while others are being opened has to be opened again.
        while missing := [partition for partition in claimed if partition not in self.workers]:
            await self._open(missing)
        points = {partition: self.workers[partition].pipeline.next_expected - 1 for partition in claimed}
        return {str(partition): last for partition, last in points.items() if last >= 0}

    async def _open(self, partitions: Sequence[int]) -> None:
        if self._health.is_lake_failing:
            # Events are not read again, only to be dropped again, before the lake takes files.
            await try_to_write(self._lake, self.stream)
        described, reaches = await asyncio.gather(
            self._hub.described(), asyncio.gather(*map(self._hub.reach, partitions))
        )
        source = Source(self._hub.name, described.created_at, self._contract)
        lanes = await find_chains(
            self._lake,
            self.stream,
            partitions,
            source.created_at,
            accept_recreated=self._settings.accepts_recreated(self.stream),
        )
        await sweep(self._lake, self.stream, lanes.keys(), self._settings.staging_max_age_s)
        rooted = {lane: root for lane, root in lanes.items() if root is not None}
        heads = await find_heads(self._lake, self.stream, rooted)
        for lane, reach in zip(lanes, reaches, strict=True):
            head = heads.get(lane)
            start = await self._start_of(lane, head, reach)
            same_hub = HubIdentityCheck(self._hub, source.created_at, lane.partition)
            committer = Committer(
                self._lake, lane, source, head, encode_aside, same_hub.verify, asyncio.sleep
            )
            pipeline = PartitionPipeline(
                committer,
                self._settings.roll_policy,
                start,
                self._committed,
                self._named.get(lane.partition, frozenset()),
                partial(rows_bytes_of, self._settings, self.workers),
            )
            self.workers[lane.partition] = PartitionWorker(pipeline, same_hub, self._hub.client.link_bytes)
            OWNED.labels(self._hub.name).set(len(self.workers))
            log.info(
                "partition_opened",
                stream=self.stream,
                partition=lane.partition,
                generation=lane.generation,
                next_sequence_number=start.next_expected,
            )

    async def _start_of(self, lane: ChainKey, head: Head | None, reach: PartitionBounds) -> Start:
        """Where to start. Raises HubRecreated where the lake is ahead of the hub."""
        if head is not None and head.next_first > reach.last + 1:
            reach = await self._hub.reach(lane.partition)  # another writer may have landed newer events
        if head is not None and head.next_first > reach.last + 1:
            raise HubRecreated(
                f"partition {lane.partition} of hub {self._hub.name} ends at event {reach.last}, the lake at "
                f"{head.next_first - 1}: the hub lost events; restore it or name another file system"
            )
        return Start.of(head, reach.oldest, self._skipped_at.get(lane.partition))

    async def _committed(self, partition: int, head: Head) -> None:
        failed_for_s = self._health.committed(time.monotonic())
        if failed_for_s is not None:
            log.info("lake_available", stream=self.stream, after_s=round(failed_for_s, 1))
        await self._checkpoints.note(partition, head)

    async def _on_initialize(self, context: PartitionContext) -> None:
        # KEDA counts a partition without a checkpoint as all lag, or none: each has one from the start.
        self._checkpoints.namespace = context.fully_qualified_namespace
        worker = self.workers.get(int(context.partition_id))
        if worker is not None:
            head = worker.pipeline.committer.head
            start = head or Head(worker.pipeline.next_expected, 0)
            await self._checkpoints.note(int(context.partition_id), start, is_first=head is None)

    async def _on_batch(self, context: PartitionContext, events: list[Event]) -> None:
        worker = self.workers.get(int(context.partition_id))
        if worker is None:
            raise Overtaken(f"partition {context.partition_id} is not open")
        await worker.offer(events)

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        partition = int(context.partition_id)
        worker = self.workers.get(partition)
        if worker is None:
            return
        if self._is_draining:
            await worker.ended()  # so that ownership is released after the commit
            return
        del self.workers[partition]
        OWNED.labels(self._hub.name).set(len(self.workers))
        self._health.forget(partition)
        forget_progress(self._hub.name, partition)
        await worker.abandon()
        log.info("partition_closed", stream=self.stream, partition=partition, reason=reason.name)

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        """Whose fault it was decides; the SDK closes the partition, the next balancing claims it anew."""
        where = {"stream": self.stream, "partition": int(context.partition_id) if context else None}
        cause = cause_of(error, self._hub)
        REOPENED.labels(self._hub.name, cause).inc()
        match cause:
            case "skipped":
                worker = self.workers.get(int(context.partition_id)) if context else None
                if worker is not None:
                    self._skipped_at[worker.pipeline.committer.lane.partition] = worker.pipeline.next_expected
                log.info("partition_skipped", **where, reason=str(error))
            case "overtaken":
                log.info("partition_overtaken", **where, reason=str(error))
            case "lake":
                say = log.error if self._health.lake_failed(time.monotonic()) else log.warning
                say("lake_unavailable", **where, reason=str(error))
            case "refused" if not self._health.refused(time.monotonic()):
                log.error("refused", **where, reason=str(self._hub.refusal(error)))
            case "link":
                log.warning("hub_link_failed", **where, reason=str(error))
            case _ if not self._fatal.done():
                self._fatal.set_exception(self._hub.refusal(error) or error)

    async def _drain(self, receiving: asyncio.Task[None]) -> None:
        """Commit what was taken in while the SDK closes its links: neither waits for the other."""
        self._is_draining = True
        started_s, drain_s = time.monotonic(), self._settings.drain_timeout_s
        client, store = self._hub.client, self._checkpoints.store
        ending = asyncio.create_task(end_receiving(client, receiving, store, drain_s + RELEASE_GRACE_S))
        flushes = {asyncio.create_task(worker.drain()): worker for worker in self.workers.values()}
        if flushes:
            await asyncio.wait(flushes, timeout=drain_s)
        for flush, worker in flushes.items():
            if not flush.done() or flush.exception() is not None:
                # Nothing is lost: these events are read again from the hub.
                partition = worker.pipeline.committer.lane.partition
                log.warning("drain_incomplete", stream=self.stream, partition=partition)
                await worker.abandon()
        await ending
        log.info("stream_drained", stream=self.stream, took_s=round(time.monotonic() - started_s, 3))
