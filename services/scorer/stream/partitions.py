"""The partitions that this process owns: opened where their output ends, closed once their output is sent."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from services.scorer.settings import ScorerSettings
from services.scorer.stream.checkpoints import NOTHING_YET, CheckpointHint
from services.scorer.stream.lineage import lineage_of
from services.scorer.stream.pipeline import PartitionPipeline, Start
from services.scorer.stream.resume import read_tail, start_after
from services.scorer.stream.worker import PartitionWorker
from shared.pricing.pricer import ActivePriceModel
from shared.pricing.version_cache import VersionCache
from shared.service.errors import GapUnexplained, HubRecreated, SinkUnavailable
from shared.service.logs import log
from shared.streams.event import Event
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.clients import hub_created_at
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.sender import PartitionSender
from shared.streams.metrics import NEXT_SEQUENCE

# How long a send under way may take once its partition is to be closed; what is cut off is looked for later.
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Hubs:
    """The telemetry hub and the predictions hub, as readers see them, and the telemetry hub's identity."""

    source: EventHubConsumerClient
    output: EventHubConsumerClient
    created_at: datetime

    async def check_identity(self) -> None:
        """Raises HubRecreated where the telemetry hub is not the one that this process started with."""
        found = await hub_created_at(self.source)
        if found != self.created_at:
            raise HubRecreated(
                f"the telemetry hub was re-created at {found.isoformat()} while it was being scored: "
                "name a new hub in FLEETPRICE_PREDICTIONS_HUB, or re-create the predictions hub"
            )


@dataclass(frozen=True, slots=True)
class _Opened:
    worker: PartitionWorker
    hint: CheckpointHint
    resources: AsyncExitStack


class OwnedPartitions:
    """The callbacks of an EventProcessor, and what it resumes from."""

    def __init__(
        self,
        settings: ScorerSettings,
        connection: HubConnection,
        hubs: Hubs,
        store: ResumingCheckpointStore,
        served: ActivePriceModel,
        former: VersionCache,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._hubs = hubs
        self._store = store
        self._served = served
        self._former = former
        self._fail = fail
        self._starts: dict[str, Start] = {}
        self._skips: dict[str, int] = {}
        self._opened: dict[str, _Opened] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __len__(self) -> int:
        return len(self._opened)

    async def closed(self) -> None:
        """Returns once no partition is open."""
        await self._is_empty.wait()

    async def resume_points(self, partition_ids: Sequence[str]) -> dict[str, int]:
        """The last sequence number not to be read again, by partition; see ResumingCheckpointStore."""
        claimed = [one for one in partition_ids if one not in self._opened]
        _, starts = await asyncio.gather(
            self._hubs.check_identity(), asyncio.gather(*map(self._start_of, claimed))
        )
        self._starts = dict(zip(claimed, starts, strict=True))
        return {
            one: start.next_expected - 1 for one, start in self._starts.items() if start.next_expected > 0
        }

    async def open(self, context: PartitionContext) -> None:
        """Called by the processor before it receives; what this raises it tells `on_error`, and receives."""
        partition_id = context.partition_id
        await self._close(partition_id)
        start = self._starts.pop(partition_id, None)
        if start is None:
            return  # `take` raises, so that the partition is claimed anew
        start = replace(start, known_gap_at=self._skips.pop(partition_id, None))
        sender = PartitionSender(self._connection, self._settings.predictions_hub, partition_id, lineage_of)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(sender)
            pipeline = PartitionPipeline(
                self._settings, partition_id, self._hubs.created_at, start, self._served
            )
            worker = PartitionWorker(pipeline, sender, self._settings.max_events, self._former, self._fail)
            hint = CheckpointHint(self._store, context)
            self._opened[partition_id] = _Opened(worker, hint, stack.pop_all())
        self._is_empty.clear()
        log.info("partition_opened", partition=int(partition_id), next_sequence_number=start.next_expected)
        if start.next_expected == 0:
            await hint.follow(NOTHING_YET)

    async def take(self, context: PartitionContext, events: list[Event]) -> None:
        """Called with what was received; what this raises closes the partition."""
        opened = self._opened.get(context.partition_id)
        if opened is None:
            raise SinkUnavailable(f"partition {context.partition_id} of the predictions hub is not open")
        try:
            await opened.worker.take(events)
        except GapUnexplained:
            self._skips[context.partition_id] = opened.worker.next_expected
            raise

    async def close(self, context: PartitionContext, reason: object) -> None:
        """Called by the processor once it receives no more, before it lets others claim the partition."""
        await self._close(context.partition_id)
        log.info("partition_closed", partition=int(context.partition_id), reason=str(reason))

    async def write_hints(self) -> None:
        """Have the checkpoint blobs follow."""
        for opened in list(self._opened.values()):
            await opened.hint.follow(opened.worker.published)

    async def _close(self, partition_id: str) -> None:
        opened = self._opened.get(partition_id)
        if opened is None:
            return
        try:
            await opened.worker.close(_DRAIN_S)
            await opened.hint.follow(opened.worker.published)
        finally:
            self._opened.pop(partition_id, None)
            NEXT_SEQUENCE.remove(self._settings.telemetry_hub, partition_id)  # its next owner tells of it
            await opened.resources.aclose()
            if not self._opened:
                self._is_empty.set()

    async def _start_of(self, partition_id: str) -> Start:
        # The source is asked last: a former owner may still publish, and what it prices is in the source.
        tail = await read_tail(self._hubs.output, partition_id, self._hubs.created_at)
        source = await self._hubs.source.get_partition_properties(partition_id)

        async def hint() -> int | None:
            return (await self._store.hints()).get(partition_id)

        return await start_after(tail, source, hint, partition_id)
