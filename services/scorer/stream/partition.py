"""The scoring of one partition into the predictions hub, one send at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from prometheus_client import Counter, Histogram

from services.scorer.settings import ScorerSettings
from services.scorer.stream.pipeline import Output, PricingPipeline
from services.scorer.stream.resume import ExpiredEvents, find_start, read_tail
from shared.codec.batch_decoder import BatchDecoder
from shared.contract.columns import READING
from shared.pricing.pricer import ActivePriceModel
from shared.pricing.version_loader import VersionLoader
from shared.service import failpoints
from shared.service.errors import Refused, SettingsError, SinkUnavailable
from shared.service.tasks import within
from shared.streams.decode_trial import DecodeTrial
from shared.streams.event import Event
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.sender import PartitionSender
from shared.streams.handler_protocols import Start
from shared.streams.poison import GuardedDecoder

PREDICTIONS_SENT = Counter(
    "fleetprice_scorer_sent_predictions_total", "Predictions that the hub has accepted"
)
SOURCE_TO_PUBLISH = Histogram(
    "fleetprice_scorer_source_to_publish_seconds",
    "From the oldest reading of an output event enqueued to the event accepted by the predictions hub",
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)

# Opening delays claims of other partitions. A partition that is not open by then is claimed again.
_OPEN_TIMEOUT_S = 10.0


class OutputUnavailable(SinkUnavailable):
    """The error for a predictions hub that accepts nothing within the bounded retries."""


@dataclass(frozen=True, slots=True)
class Hubs:
    """The telemetry hub, the predictions hub, and the time at which the telemetry hub was created.

    That time is the telemetry hub's identity. `expired` records the telemetry hub's expired events.
    """

    source: Hub
    output: Hub
    created_at: datetime
    expired: ExpiredEvents


@dataclass(frozen=True, slots=True)
class Models:
    """The price model in service, and the versions that served before it."""

    active: ActivePriceModel
    former: VersionLoader


@dataclass(frozen=True, slots=True)
class Published:
    """The last event of which all readings are published."""

    sequence_number: int
    offset: str


class PartitionScorer:
    """A PartitionHandler for one telemetry partition.

    Its sink is the partition of the same number of the predictions hub.
    """

    def __init__(
        self,
        partition: int,
        settings: ScorerSettings,
        hubs: Hubs,
        models: Models,
        store: ResumingCheckpointStore,
        sender: PartitionSender,
        decoder: GuardedDecoder,
    ) -> None:
        """Make a handler. If the former owner ended abnormally, the first events are tried in a child."""
        self._partition = partition
        self._decoder = decoder
        self._trial = DecodeTrial(
            decoder,
            partial(BatchDecoder, READING),
            partition in store.abandoned,
            partial(store.abandoned.discard, partition),
        )
        self._settings = settings
        self._hubs = hubs
        self._models = models
        self._store = store
        self._sender = sender
        self._pipeline: PricingPipeline
        self._next_expected = 0
        self._published: Published | None = None
        self._hinted: Published | None = None
        self._is_stopping = False

    async def start(self) -> Start:
        """Return where to resume, the event of the last reading in the output, and open the output's link.

        Raises HubRecreated if the output prices another telemetry hub, SinkUnavailable if no link opens in
        time.
        """
        # The source is read last: a former owner may still publish, and the events it prices must be in it.
        tail = await read_tail(self._hubs.output, self._partition, self._hubs.created_at)
        source = await self._hubs.source.bounds(self._partition)
        start = await find_start(tail, source, self._read_hint, self._partition, self._hubs.expired)
        self._pipeline = PricingPipeline(
            self._settings,
            self._partition,
            self._hubs.created_at,
            start.handover,
            self._models.active,
            self._decoder,
        )
        self._next_expected = start.next_expected
        try:
            await within(_OPEN_TIMEOUT_S, self._sender.open())
        except TimeoutError as error:
            raise SinkUnavailable(f"partition {self._partition} of the predictions hub: no link") from error
        if start.next_expected == 0:
            await self._store.note_progress(self._partition, -1, "-1")
        return Start(start.next_expected)

    async def _read_hint(self) -> int | None:
        return (await self._store.read_hints()).get(str(self._partition))

    async def handle(self, events: Sequence[Event]) -> None:
        """Price events and publish the predictions.

        Raises OutputUnavailable if the predictions hub does not accept them, SettingsError if it goes on
        refusing our credentials.
        """
        first = events[0].sequence_number
        self._hubs.expired.note(self._partition, self._next_expected, first)
        await self._trial.try_out(events)
        version = self._pipeline.version_to_finish(events)
        former = None if version is None else await self._models.former.load(version)
        for output in self._pipeline.price_events(events, former):
            if self._is_stopping:
                return
            await self._publish(output)
        self._trial.end()
        last = events[-1]
        self._next_expected = last.sequence_number + 1
        self._published = Published(last.sequence_number, last.offset)

    async def _publish(self, output: Output) -> None:
        # A crash costs nothing before the hub accepts, and nothing after: the next start reads the output
        # partition's tail. After a lost answer the sender looks there too before it sends again.
        try:
            await self._sender.send([output.event])
        except SinkUnavailable as error:
            raise OutputUnavailable(str(error)) from error
        except Refused as error:
            raise SettingsError(str(error)) from error  # the sender waited already: a person must act
        failpoints.reach("scorer_sent")
        PREDICTIONS_SENT.inc(output.rows)
        SOURCE_TO_PUBLISH.observe(time.time() - output.oldest_enqueued_us / 1e6)

    async def flush(self) -> None:
        """Do nothing, because all handled events are published already."""

    def due_in_s(self) -> float | None:
        """Return None, because a flush is never due."""
        return None

    def stop(self) -> None:
        """Make `handle` return after the current send; the partition's next owner resumes from there."""
        self._is_stopping = True

    async def close(self) -> None:
        """Write the checkpoint and close the link to the output."""
        try:
            await self.write_hint()
        finally:
            await self._sender.close()

    async def write_hint(self) -> None:
        """Write the checkpoint blob if more events were published since the last write."""
        published = self._published
        if published is None or published == self._hinted:
            return
        place = published.sequence_number, published.offset
        if await self._store.note_progress(self._partition, *place):
            self._hinted = published
