"""One partition's pipeline: contiguity, decode, price, publish in source order. It reads top to bottom."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.eventhub import EventData
from prometheus_client import Counter, Histogram

from services.scorer.pricing import Pricer
from services.scorer.settings import ScorerSettings
from services.scorer.stream.bodies import CARRIED, PredictionBodies
from services.scorer.stream.chunks import Chunk, SourceEvent, chunks_of, without_lines_through
from services.scorer.stream.lineage import Lineage, Place
from shared import failpoints
from shared.contract.bodies import BodyDecoder
from shared.contract.columns import READING
from shared.errors import GapUnexplained
from shared.hubs.clients import body_of, enqueued_us, sequence_of
from shared.hubs.contiguity import Contiguity, Step
from shared.hubs.progress import NEXT_SEQUENCE
from shared.hubs.sender import PartitionSender
from shared.logs import log

PREDICTIONS_SENT = Counter("fleetprice_predictions_sent_total", "Predictions that the hub has accepted")
BAD_READINGS = Counter("fleetprice_readings_unpriced_total", "Records that do not decode, so have no price")
EVENTS_SEEN = Counter("fleetprice_scorer_events_seen_again_total", "Events delivered again and dropped")
EVENTS_GONE = Counter("fleetprice_scorer_events_gone_total", "Events that retention took before scoring")
SOURCE_TO_PUBLISH = Histogram(
    "fleetprice_source_to_publish_seconds",
    "From the oldest reading of an output event enqueued to the event accepted by the predictions hub",
    buckets=(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)

# Bodies decoded at one go; more would only hold memory, since the model has its best rate well below.
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts: the next event to take in, and the last reading of it that has a price.

    A skip at `known_gap_at` is the hub's own: the link was reopened there and skipped again.
    """

    next_expected: int
    after: Place | None = None
    known_gap_at: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The last event of which every reading is priced and published."""

    sequence: int
    offset: str


class PartitionScorer:
    """Not for concurrent use. After `take` has raised it is of no further use."""

    def __init__(
        self,
        settings: ScorerSettings,
        partition_id: str,
        source_created_at: datetime,
        start: Start,
        pricer: Pricer,
        sender: PartitionSender,
        fail: Callable[[BaseException], None],
    ) -> None:
        """`fail` is told of a send that was given up, even while nothing is being taken in."""
        self._settings = settings
        self._partition = int(partition_id)
        self._created_at = source_created_at
        self._start = start
        self._pricer = pricer
        self._sender = sender
        self._fail = fail
        self._contiguity = Contiguity(start.next_expected)
        self._decoder = BodyDecoder(READING)
        self._bodies = PredictionBodies(pricer.manifest, self._partition, settings.output)
        self._columns = (*CARRIED, *pricer.fields)
        self._next_sequence = NEXT_SEQUENCE.labels(settings.telemetry_hub, partition_id)
        self._next_sequence.set(start.next_expected)
        self._sending: asyncio.Task[None] | None = None
        self._handed_over: Progress | None = None
        self._published: Progress | None = None

    @property
    def next_expected(self) -> int:
        return self._contiguity.next_expected

    @property
    def published(self) -> Progress | None:
        """None until the first event since the start."""
        is_settled = self._sending is None or (self._sending.done() and not self._sending.exception())
        return self._handed_over if is_settled else self._published

    async def take(self, events: Sequence[EventData]) -> None:
        """Price events in sequence and hand them over; one output event may still be on its way then.

        Raises GapUnexplained where the link must be reopened; what came before the gap is handed over.
        """
        fresh, skip = self._judged(events)
        for piece in _pieces(fresh):
            decoded = (self._decoded(event) for event in piece)
            for chunk in chunks_of(decoded, self._settings.max_rows, self._columns):
                await self._hand_over(self._priced(chunk), chunk)
            self._handed_over = Progress(sequence_of(piece[-1]), str(piece[-1].offset))
        self._next_sequence.set(self._contiguity.next_expected)
        if skip is not None:
            raise GapUnexplained(f"expected event {self.next_expected}, the link brought {skip}")

    async def finish(self) -> None:
        """Wait for the send in flight; raises why it was given up."""
        if self._sending is not None:
            await asyncio.shield(self._sending)

    def _judged(self, events: Sequence[EventData]) -> tuple[list[EventData], int | None]:
        """The events that come next, and the sequence number that the link skipped to, if it did."""
        fresh: list[EventData] = []
        for event in events:
            sequence = sequence_of(event)
            step = self._contiguity.judge(sequence)
            if step is Step.SKIP:
                if self._contiguity.next_expected != self._start.known_gap_at:
                    return fresh, sequence
                self._cross_gap(sequence)
                step = self._contiguity.judge(sequence)
            if step is Step.NEXT:
                fresh.append(event)
            else:
                EVENTS_SEEN.inc()
        return fresh, None

    def _cross_gap(self, sequence: int) -> None:
        first = self._contiguity.next_expected
        count = self._contiguity.jump(sequence)
        EVENTS_GONE.inc(count)
        log.warning("events_gone", partition=self._partition, first=first, events=count)

    def _decoded(self, event: EventData) -> SourceEvent:
        """Bad records are passed over: ingest keeps them with their bytes."""
        sequence = sequence_of(event)
        decoded = self._decoder.decode(body_of(event), event.content_type)
        after = self._start.after
        if after is not None and sequence == after.sequence:
            decoded = without_lines_through(decoded, after.line)
        if decoded.bad:
            BAD_READINGS.inc(len(decoded.bad))
        return SourceEvent(sequence, enqueued_us(event), decoded)

    def _priced(self, chunk: Chunk) -> EventData:
        columns = (
            self._pricer.columns_of(chunk.records)
            if chunk.batch is None
            else {name: chunk.batch.column(name) for name in self._pricer.fields}
        )
        body, content_type = self._bodies.encode(chunk, self._pricer.price(columns), datetime.now(UTC))
        event = EventData(body)
        event.content_type = content_type
        event.properties = Lineage(self._created_at, self._partition, chunk.first, chunk.last).properties()
        return event

    async def _hand_over(self, event: EventData, chunk: Chunk) -> None:
        """Send once the output event before is accepted; meanwhile the next one is priced.

        A cancelled callback leaves the send in flight alone: `finish` waits for it.
        """
        if self._sending is not None:
            await asyncio.shield(self._sending)
            self._published = self._handed_over
        self._sending = asyncio.create_task(self._publish(event, chunk))
        self._sending.add_done_callback(self._report)
        await asyncio.sleep(0)  # lets it leave before the next chunk keeps the loop busy

    async def _publish(self, event: EventData, chunk: Chunk) -> None:
        # A crash before this costs nothing, in it at most a look at the hub, after it nothing: the next start
        # reads from the output partition's tail what is there.
        await self._sender.send([event])
        failpoints.reach("scorer_sent")
        PREDICTIONS_SENT.inc(len(chunk))
        SOURCE_TO_PUBLISH.observe(time.time() - chunk.oldest_enqueued_us / 1e6)

    def _report(self, sending: asyncio.Task[None]) -> None:
        if not sending.cancelled() and (error := sending.exception()) is not None:
            self._fail(error)


def _pieces(events: Sequence[EventData]) -> Iterator[Sequence[EventData]]:
    start = size_bytes = 0
    for index, event in enumerate(events, start=1):
        size_bytes += len(body_of(event))
        if size_bytes >= _PIECE_BYTES or index == len(events):
            yield events[start:index]
            start, size_bytes = index, 0
