"""The landing of one stream: each claimed partition resumes where its chain of files ends."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import uuid4

import pyarrow as pa
import structlog
from prometheus_client import Counter

from services.ingest.commit import Committer, Overtaken, Source
from services.ingest.contract_check import refuse_changed_columns
from services.ingest.health import Health
from services.ingest.memory_budget import receive_limits, rows_bytes
from services.ingest.open_file import RollPolicy
from services.ingest.partition import PartitionIngest
from services.ingest.progress import StreamProgress
from services.ingest.settings import IngestSettings
from services.ingest.source_streams import SourceStream, hubs_by_stream
from services.ingest.staging_sweep import sweep
from shared.lake.client import Lake
from shared.lake.parquet import encode
from shared.lake.slots.chain import find_heads
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.root import find_chains, read_roots
from shared.lake.slots.slot import ChainKey, staging_folder
from shared.service.errors import GapUnexplained, SettingsError, SinkUnavailable, SourceUnavailable
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.stream_runtime import PartitionNotOpen, RuntimeOptions, StreamRuntime
from shared.streams.handler_protocols import ReceiveLimits
from shared.streams.hub_properties import HubProperties

log = structlog.get_logger()

_PROBE_BYTES = 2**20

REOPENED = Counter(
    "fleetprice_ingest_reopened_partitions_total",
    "Partitions given up, to be opened again from the lake, and claims that failed, by cause",
    ["hub", "cause"],
)
_CAUSES: Mapping[type[Exception], str] = {
    GapUnexplained: "skipped",
    Overtaken: "overtaken",
    SinkUnavailable: "lake",
    SettingsError: "refused",
    PartitionNotOpen: "closed",
    SourceUnavailable: "link",
}


async def encode_aside(table: pa.Table, footer: Footer) -> bytes:
    """Encode a file in a thread; Arrow releases the interpreter lock, so other partitions can proceed."""
    return await asyncio.to_thread(encode, table, footer)


class StreamIngest:
    """A StreamHandler that lands one stream in the lake."""

    def __init__(
        self,
        settings: IngestSettings,
        stream: SourceStream,
        lake: Lake,
        hub: Hub,
        store: ResumingCheckpointStore,
    ) -> None:
        self.name = stream.name
        self._settings = settings
        self._stream = stream
        self._lake = lake
        self._hub = hub
        self._store = store
        self._health = Health(settings.refusal_grace_s, settings.stall_after_s)
        self._streams = len(hubs_by_stream(settings))
        self._is_contract_checked = False
        self._progress = StreamProgress(stream.name, hub, store, self._health)
        options = RuntimeOptions(
            stream.name,
            "start again to see what to change",
            drain_timeout_s=settings.drain_timeout_s,
            look_interval_s=settings.look_interval_s,
            follows_growth=True,
        )
        self._runtime = StreamRuntime[PartitionIngest](self, hub, store, options)
        self.run = self._runtime.run

    @property
    def is_ready(self) -> bool:
        """Return whether this stream owns partitions and their events get committed."""
        since_s = [task.handler.uncommitted_since_s for task in self._runtime.partitions.values()]
        return bool(since_s) and self._health.is_well(since_s, time.monotonic())

    def heads(self) -> dict[ChainKey, Head]:
        """Return the end of each owned partition's chain; chains without a root are left out."""
        committers = [task.handler.committer for task in self._runtime.partitions.values()]
        return {one.chain: one.head for one in committers if one.head is not None}

    async def limits(self) -> ReceiveLimits:
        """Return each partition's limits; if the hub's number of partitions is unknown, assume many."""
        try:
            partitions = await self._hub.count_partitions()
        except (SourceUnavailable, SettingsError) as error:
            log.info("partitions_unknown", hub=self._hub.name, reason=str(error))
            return receive_limits(self._settings, None)
        return receive_limits(self._settings, partitions)

    async def open_partitions(
        self, partitions: Sequence[int], hub: HubProperties
    ) -> Mapping[int, PartitionIngest]:
        """Find the end of each partition's chain in the lake, and make a handler that continues there."""
        if self._health.is_lake_failing:
            # Without this, events would be read only to be dropped again while the lake accepts no files.
            await self._try_to_write()
        source = Source(self._hub.name, hub.identity, self._stream.contract)
        chains = await find_chains(
            self._lake,
            self.name,
            partitions,
            source.created_at,
            accept_recreated=self._stream.accepts_recreated,
        )
        await sweep(self._lake, self.name, chains.keys(), self._settings.staging_max_age_s)
        rooted = {chain: root for chain, root in chains.items() if root is not None}
        heads = await find_heads(self._lake, self.name, rooted)
        if len(rooted) < len(chains) and not self._is_contract_checked:
            # A chain without files says nothing of the contract: those of other partitions and hubs do.
            every = await find_heads(self._lake, self.name, await read_roots(self._lake, self.name))
            refuse_changed_columns(self.name, source.contract.raw_schema, every.values())
        refuse_changed_columns(self.name, source.contract.raw_schema, heads.values())
        self._is_contract_checked = True
        return {chain.partition: self._partition(chain, source, heads.get(chain)) for chain in chains}

    def _partition(self, chain: ChainKey, source: Source, head: Head | None) -> PartitionIngest:
        settings = self._settings
        return PartitionIngest(
            Committer(self._lake, chain, source, head, encode_aside, asyncio.sleep),
            RollPolicy(settings.roll_max_rows, settings.roll_max_bytes, settings.roll_max_age_s),
            partial(self._hub.bounds, chain.partition),
            self._progress,
            self._stream.named_events.get(chain.partition, frozenset()),
            self._memory_share,
            is_abandoned=chain.partition in self._store.abandoned,
            on_trial_end=partial(self._store.abandoned.discard, chain.partition),
        )

    def _memory_share(self) -> float:
        return rows_bytes(self._settings, self._streams, self._runtime.owned)

    async def _try_to_write(self) -> None:
        """Write and delete a probe file.

        Raises SinkUnavailable or SettingsError if the lake accepts no file now.
        """
        path = f"{staging_folder(self.name)}/probe-{uuid4().hex}"
        await self._lake.write(path, bytes(_PROBE_BYTES))
        # A crash before this leaves a file that nothing reads.
        await self._lake.delete(path)

    async def observe(self) -> None:
        """Measure the stream's lag. Raises Refused if the hub keeps closing links past the grace period."""
        await self._progress.observe(self._runtime.partitions)

    def note_refusal(self) -> bool:
        """Record a refusal. Return True if refusals have lasted past the grace period."""
        return self._health.note_refusal(time.monotonic())

    def judge_failure(self, partition: int | None, error: Exception) -> Exception | None:
        """Count why a partition is reopened. Return the error if it is a lasting refusal or unexpected."""
        cause = next((cause for kind, cause in _CAUSES.items() if isinstance(error, kind)), "fatal")
        REOPENED.labels(self._hub.name, cause).inc()
        where = {"stream": self.name, "partition": partition, "reason": str(error)}
        match cause:
            case "overtaken":
                log.info("partition_overtaken", **where)
            case "lake" if self._health.note_lake_failure(time.monotonic()):
                log.error("lake_unavailable", **where)
            case "lake":
                log.warning("lake_unavailable", **where)
            case "refused" if self.note_refusal():
                return error
            case "fatal":
                return error
        return None
