"""The runtime of every service that reads a hub: partitions resume where the service's sink ends.

The SDK's EventProcessor shares the partitions between processes.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from azure.eventhub import CloseReason
from azure.eventhub.aio import PartitionContext
from prometheus_client import Gauge

from shared.service.errors import GapUnexplained, Refused, SettingsError, SourceUnavailable
from shared.service.tasks import cancel_until_done
from shared.streams.event import Event
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.errors import map_error
from shared.streams.event_hubs.hub import Hub, HubIdentityCheck
from shared.streams.event_hubs.shutdown import RELEASE_GRACE_S, end_receiving
from shared.streams.handler_protocols import PartitionHandler, StreamHandler
from shared.streams.metrics import NEXT_SEQUENCE
from shared.streams.partition_task import PartitionTask
from shared.streams.sequenced_feed import SequencedFeed

log = structlog.get_logger()

H = TypeVar("H", bound=PartitionHandler)

# How often the callback of an idle partition is called, which raises its task's failure.
_MAX_WAIT_S = 1.0
# At the end: the time for a drained handler to close, and for the SDK to give its partition back.
_CLOSE_S, _RELEASE_S = 1.0, 0.5

OWNED = Gauge("fleetprice_streams_owned_partitions", "Partitions that this process reads", ["hub"])


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """The options that differ between services.

    `recreated_remedy` is the last part of the error message for a re-created hub. When the stream ends,
    handlers have `drain_timeout_s` to flush. When a partition moves to another process, its handler has
    `close_timeout_s` to finish its current step. If `follows_growth`, partitions added to the hub are read
    too, without a restart.
    """

    stream: str
    recreated_remedy: str
    drain_timeout_s: float
    close_timeout_s: float = 0.0
    look_interval_s: float = 10.0
    follows_growth: bool = False


@dataclass(slots=True)
class _Partition(Generic[H]):
    task: PartitionTask[H]
    identity: HubIdentityCheck
    is_failure_known: bool = False
    ending: asyncio.Task[None] | None = None


class PartitionNotOpen(SourceUnavailable):
    """The error for events of a partition that was closed, or whose claim failed: its link is closed too."""


class StreamRuntime(Generic[H]):
    """A reader of this process's share of a hub's partitions.

    The hub's client must have been made with `store`.
    """

    def __init__(
        self, service: StreamHandler[H], hub: Hub, store: ResumingCheckpointStore, options: RuntimeOptions
    ) -> None:
        self._service = service
        self._hub = hub
        self._store = store
        self._options = options
        self._partitions: dict[int, _Partition[H]] = {}
        self._skipped_at: dict[int, int] = {}
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        store.resume = self._resume

    @property
    def partitions(self) -> Mapping[int, PartitionTask[H]]:
        """The task of each partition owned now; after a drain, of those owned last."""
        return {number: partition.task for number, partition in self._partitions.items()}

    @property
    def owned(self) -> int:
        """The number of partitions that this process owns."""
        return len(self._partitions)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then flush all handlers and give the partitions back.

        Raises the error that ends the stream if one does before `stop`.
        """
        while await self._receive(stop):
            # The SDK's processor reads the list of partitions once: new ones need another processor.
            self._partitions.clear()

    async def _receive(self, stop: asyncio.Event) -> bool:
        """Receive until the stream ends.

        Return True if the stream ended only because partitions were added to the hub.
        """
        self._limits = limits = await self._service.limits()
        stopping = asyncio.create_task(stop.wait())
        receiving = asyncio.create_task(
            self._hub.client.receive_events(
                self._on_events,
                link_bytes=limits.link_bytes,
                max_batch_size=limits.batch_events,
                max_wait_time=_MAX_WAIT_S,
                starting_position="-1",
                prefetch=limits.prefetch,
                on_error=self._on_error,
                on_partition_close=self._on_close,
            )
        )
        watching = asyncio.create_task(self._watch())
        ends: set[asyncio.Future[Any]] = {stopping, receiving, watching, self._fatal}
        try:
            ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await cancel_until_done(watching)
            await self._drain(receiving)
        for end in ended - {stopping}:
            end.result()
        return ended == {watching}

    async def _watch(self) -> None:
        """Observe the hub at intervals; if `follows_growth`, return once the hub has more partitions.

        Raises HubRecreated if the hub is not the one on which partitions were opened. This is also checked at
        each link's first events, but no events arrive while a new hub has fewer events than the old one had.
        Raises Refused if the hub's refusals have lasted past the service's grace period.
        """
        at_first = 0
        while True:
            try:
                described = await self._hub.describe()
                for partition in self._partitions.values():
                    partition.identity.verify(described)
                await self._service.observe()
            except (SourceUnavailable, Refused) as error:
                log.warning("hub_unanswered", hub=self._hub.name, reason=str(error))
                if isinstance(error, Refused) and self._service.note_refusal():
                    raise
            else:
                at_first = at_first or described.partitions
                if self._options.follows_growth and described.partitions > at_first:
                    log.info("hub_grew", hub=self._hub.name, partitions=described.partitions, before=at_first)
                    return
            await asyncio.sleep(self._options.look_interval_s)

    async def _resume(self, partition_ids: Sequence[str]) -> dict[str, int]:
        """Open claimed partitions that are not open yet; return the last sequence number of each in the sink.

        A partition without events in the sink is left out.
        """
        claimed = [int(partition_id) for partition_id in partition_ids]
        # A partition that is closed while others are being opened has to be opened again.
        while missing := [partition for partition in claimed if partition not in self._partitions]:
            await self._open(missing)
        points = {partition: self._partitions[partition].task.next_expected - 1 for partition in claimed}
        return {str(partition): last for partition, last in points.items() if last >= 0}

    async def _open(self, numbers: Sequence[int]) -> None:
        # Read before the sink is, since the sink's end is compared with this hub.
        described = await self._hub.describe()
        handlers = await self._service.open_partitions(numbers, described)
        opening = [
            asyncio.create_task(self._start(number, handler, described.created_at))
            for number, handler in handlers.items()
        ]
        try:
            await asyncio.gather(*opening)
        except BaseException:
            # The claim fails as a whole: before the next one another process may own any of these partitions.
            for task, (number, handler) in zip(opening, handlers.items(), strict=True):
                await cancel_until_done(task)
                await (self._close(number) if number in self._partitions else handler.close())
            raise

    async def _start(self, number: int, handler: H, created_at: datetime) -> None:
        start = await handler.start()
        feed = SequencedFeed(handler, self._hub.name, start, self._skipped_at.get(number))
        identity = HubIdentityCheck(self._hub, number, created_at, self._options.recreated_remedy)
        gauge = NEXT_SEQUENCE.labels(self._hub.name, str(number))
        task = PartitionTask(handler, feed, self._limits, identity.verify_link, gauge.set)
        self._partitions[number] = _Partition(task, identity)
        self._hub.client.on_link_open[str(number)] = identity.request_early
        OWNED.labels(self._hub.name).set(len(self._partitions))
        log.info(
            "partition_opened",
            stream=self._options.stream,
            partition=number,
            next_sequence_number=start.next_expected,
        )

    async def _on_events(self, context: PartitionContext, events: list[Event]) -> None:
        partition = self._partitions.get(int(context.partition_id))
        if partition is None:
            raise PartitionNotOpen(f"partition {context.partition_id} is not open")
        await partition.task.offer(events)

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        """Close a partition before the SDK lets other processes claim it."""
        number = int(context.partition_id)
        partition = self._partitions.get(number)
        if partition is None:
            return
        if partition.ending is not None:
            await asyncio.wait([partition.ending])  # so that ownership is released after the flush
            return
        failure = partition.task.failure
        if isinstance(failure, Exception) and not partition.is_failure_known:
            self._give_up(number, failure)  # the link ended before its callback could raise it
        await self._close(number)
        log.info("partition_closed", stream=self._options.stream, partition=number, reason=reason.name)

    async def _close(self, number: int) -> None:
        partition = self._partitions.get(number)
        if partition is None:
            return
        try:
            await partition.task.close(self._options.close_timeout_s)
        finally:
            # Even if the handler fails to close: a partition left here would not be opened at its next claim.
            self._partitions.pop(number, None)
            self._hub.client.on_link_open.pop(str(number), None)
            partition.identity.close()
            OWNED.labels(self._hub.name).set(len(self._partitions))
            NEXT_SEQUENCE.remove(self._hub.name, str(number))  # from now on its next owner sets it

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        """Pass the error to the service.

        The SDK closes the partition, and claims it again at a later balancing.
        """
        number = int(context.partition_id) if context else None
        partition = None if number is None else self._partitions.get(number)
        if partition is not None and partition.task.failure is error:
            partition.is_failure_known = True
        self._give_up(number, map_error(error, self._hub.name, self._hub.group))

    def _give_up(self, number: int | None, error: Exception) -> None:
        if isinstance(error, GapUnexplained) and number is not None and number in self._partitions:
            self._skipped_at[number] = self._partitions[number].task.next_expected
        end = self._service.judge_failure(number, error)
        task = None if number is None or number not in self._partitions else self._partitions[number].task
        where = {
            "stream": self._options.stream,
            "hub": self._hub.name,
            "partition": number,
            "next_sequence_number": None if task is None else task.next_expected,
            "reason": str(error) or type(error).__name__,
        }
        if end is not None:
            log.error("stream_failed", **where)
            if not self._fatal.done():
                self._fatal.set_exception(end)
            return
        match error:
            case GapUnexplained():
                log.info("partition_skipped", **where)
            case SettingsError():  # Refused, or the same of another store: the lake's
                log.error("refused", **where)
            case SourceUnavailable():
                log.warning("hub_link_failed", **where)
            case _:
                log.info("partition_given_up", **where)

    async def _drain(self, receiving: asyncio.Task[None]) -> None:
        """Flush all partitions while the SDK closes its links; neither waits for the other.

        The time is bounded.
        """
        started_s = time.monotonic()
        endings = [self._drain_soon(number, one) for number, one in self._partitions.items()]
        receiving.cancel()
        if endings:
            await asyncio.wait(endings, timeout=self._options.drain_timeout_s + _CLOSE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                await self._store.wait_released()
        # The cancellation can get lost, so receiving is ended again, within a bounded time.
        left_s = started_s + self._options.drain_timeout_s + RELEASE_GRACE_S - time.monotonic()
        await end_receiving(self._hub.client, receiving, self._store, left_s)
        for number in [number for number, one in self._partitions.items() if one.ending is None]:
            await self._close(number)  # opened after the drain began
        for ending in endings:
            await cancel_until_done(ending)
            if not ending.cancelled():
                ending.result()
        if self._fatal.done():
            self._fatal.exception()  # raised by `_receive`, or superseded by what ended the stream before it
        took_s = round(time.monotonic() - started_s, 3)
        log.info("stream_drained", stream=self._options.stream, took_s=took_s)

    def _drain_soon(self, number: int, partition: _Partition[H]) -> asyncio.Task[None]:
        partition.ending = asyncio.create_task(self._drain_partition(number, partition))
        return partition.ending

    async def _drain_partition(self, number: int, partition: _Partition[H]) -> None:
        draining = asyncio.create_task(partition.task.drain())
        await asyncio.wait([draining], timeout=self._options.drain_timeout_s)
        if not draining.done() or draining.exception() is not None:
            # Nothing is lost: these events are read again from the hub.
            log.warning("drain_incomplete", stream=self._options.stream, partition=number)
        partition.identity.close()
        await partition.task.close()
        await cancel_until_done(draining)
