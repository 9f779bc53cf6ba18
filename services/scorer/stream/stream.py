"""The scoring of the telemetry hub into the predictions hub; each partition resumes where its output ends."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from services.scorer.settings import ScorerSettings
from services.scorer.stream.lineage import read_lineage
from services.scorer.stream.partition import Hubs, Models, OutputUnavailable, PartitionScorer
from services.scorer.stream.resume import ExpiredEvents
from shared.codec.body_decoder import BodyDecoder
from shared.contract.columns import READING
from shared.service.errors import (
    GapUnexplained,
    HubRecreated,
    Missing,
    Refused,
    SettingsError,
    SinkUnavailable,
    SourceUnavailable,
)
from shared.service.logs import log
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.low_latency_receiver import receive_promptly
from shared.streams.event_hubs.sender import PartitionSender
from shared.streams.event_hubs.stream_runtime import RuntimeOptions, StreamRuntime
from shared.streams.event_ids import parse_event_ids
from shared.streams.handler_protocols import ReceiveLimits
from shared.streams.hub_properties import HubProperties
from shared.streams.poison import GuardedDecoder

GROUP = "scorer"
# Errors that close one partition, or fail one balancing; the next balancing tries again.
_PASSING = (GapUnexplained, SinkUnavailable, SourceUnavailable, Refused)
# The time for a send under way when its partition is closed; the next owner looks for an interrupted one.
_SEND_TIMEOUT_S = 5.0
# Bodies decoded together: more would hold memory without making the model faster.
_PIECE_BYTES = 2**20
_REMEDY = "name a new hub in FLEETPRICE_PREDICTIONS_HUB, or re-create the predictions hub"


class StreamScorer:
    """A StreamHandler that scores this process's share of the telemetry hub's partitions."""

    def __init__(
        self,
        settings: ScorerSettings,
        connection: HubConnection,
        models: Models,
        source: Hub,
        output: Hub,
        store: ResumingCheckpointStore,
    ) -> None:
        """Make a scorer that is not running yet; `source` must have been made with `store`."""
        self._settings = settings
        self._connection = connection
        self._models = models
        self._source = source
        self._output = output
        self._store = store
        self._hubs: Hubs
        self._named = named_events(settings)
        if settings.low_latency:
            receive_promptly(source.client)
        options = RuntimeOptions("telemetry", _REMEDY, _SEND_TIMEOUT_S, close_timeout_s=_SEND_TIMEOUT_S)
        self._runtime = StreamRuntime[PartitionScorer](self, source, store, options)

    @property
    def is_reading(self) -> bool:
        """Return whether this process owns at least one partition."""
        return bool(self._runtime.owned)

    async def run(self, stop: asyncio.Event) -> None:
        """Score until `stop` is set; return once sends are done and partitions are given back.

        Raises NeedsAttention if the hubs do not fit each other, OutputUnavailable if the predictions hub
        accepts nothing.
        """
        self._hubs = await self._check_hubs()
        await self._runtime.run(stop)

    async def write_hints(self) -> None:
        """Write the checkpoint blobs of the owned partitions."""
        for task in self._runtime.partitions.values():
            await task.handler.write_hint()

    async def _check_hubs(self) -> Hubs:
        try:
            source, output = await asyncio.gather(self._source.describe(), self._output.describe())
        except Missing as error:
            raise SettingsError(
                f"{error}, or name others in FLEETPRICE_TELEMETRY_HUB and FLEETPRICE_PREDICTIONS_HUB"
            ) from error
        if source.partitions != output.partitions:
            raise SettingsError(
                f"hub {self._output.name} has {output.partitions} partitions, {self._source.name} "
                f"{source.partitions}: predictions need as many (FLEETPRICE_PREDICTIONS_HUB names another "
                "hub)"
            )
        log.info(
            "retention_not_checked",
            hub=self._output.name,
            reason="Event Hubs tells no reader its retention: keep it no shorter than the telemetry hub's",
        )
        return Hubs(self._source, self._output, source.created_at, ExpiredEvents(self._source.name))

    async def limits(self) -> ReceiveLimits:
        """Return the bounds on receiving, the same for every partition."""
        settings = self._settings
        return ReceiveLimits(
            settings.prefetch,
            settings.link_bytes,
            batch_events=settings.max_events,
            waiting_events=settings.max_events,
            piece_bytes=_PIECE_BYTES,
        )

    async def open_partitions(
        self, partitions: Sequence[int], hub: HubProperties
    ) -> Mapping[int, PartitionScorer]:
        """Make a handler for each partition.

        Raises HubRecreated if `hub` is not the telemetry hub that was there when the scorer started.
        """
        if hub.created_at != self._hubs.created_at:
            raise HubRecreated(f"the telemetry hub was re-created at {hub.identity}: {_REMEDY}")
        return {partition: self._partition(partition) for partition in partitions}

    def _partition(self, partition: int) -> PartitionScorer:
        sender = PartitionSender(self._connection, self._output.name, str(partition), read_lineage)
        named = self._named.get(partition, frozenset())
        decoder = GuardedDecoder(partial(BodyDecoder, READING), self._source.name, partition, named)
        return PartitionScorer(
            partition, self._settings, self._hubs, self._models, self._store, sender, decoder
        )

    async def observe(self) -> None:
        """Do nothing, because the runtime checks the hub's identity."""

    def note_refusal(self) -> bool:
        """Return False: no refusal ends the stream, because a key may be put back at any time."""
        return False

    def judge_failure(self, partition: int | None, error: Exception) -> Exception | None:
        """Return the error if it must end the stream, or None if it may pass by itself."""
        if isinstance(error, OutputUnavailable) or not isinstance(error, _PASSING):
            return error
        if isinstance(error, SinkUnavailable):
            log.warning("receiving_interrupted", partition=partition, reason=str(error))
        return None


def named_events(settings: ScorerSettings) -> dict[int, frozenset[int]]:
    """Return, by partition, the sequence numbers of events to leave undecoded.

    Raises SettingsError if an event id is malformed or of another stream.
    """
    named: dict[int, frozenset[int]] = {}
    for stream, partition, sequence in parse_event_ids(settings.dead_letter, "FLEETPRICE_SCORER_DEAD_LETTER"):
        if stream not in ("", "telemetry"):
            raise SettingsError(f"FLEETPRICE_SCORER_DEAD_LETTER: the scorer reads telemetry, not {stream}")
        named[partition] = named.get(partition, frozenset()) | {sequence}
    return named


class HintWriter:
    """A task that writes a stream's checkpoint blobs at intervals."""

    def __init__(self, stream: StreamScorer, interval_s: float) -> None:
        self._stream = stream
        self._interval_s = interval_s

    async def run(self) -> None:
        """Write the checkpoint blobs at every interval, without end."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self._stream.write_hints()
