"""Source events of one partition → output events, in source order: contiguity, decode, price, encode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.eventhub import EventData
from prometheus_client import Counter

from services.scorer.pricing import Pricer
from services.scorer.serving import ServedModel
from services.scorer.settings import ScorerSettings
from services.scorer.stream.bodies import CARRIED, PredictionBodies
from services.scorer.stream.chunks import Chunk, SourceEvent, chunks_of, without_lines_through
from services.scorer.stream.lineage import Lineage, Place
from shared.contract.bodies import BodyDecoder
from shared.contract.columns import READING
from shared.hubs.clients import body_of, content_type_of, enqueued_us, sequence_of
from shared.hubs.contiguity import Contiguity, Step
from shared.hubs.progress import NEXT_SEQUENCE
from shared.logs import log

BAD_READINGS = Counter("fleetprice_readings_unpriced_total", "Records that do not decode, so have no price")
EVENTS_SEEN = Counter("fleetprice_scorer_events_seen_again_total", "Events delivered again and dropped")
EVENTS_GONE = Counter("fleetprice_scorer_events_gone_total", "Events that retention took before scoring")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts: the next event to take in, and the last reading of it that has a price.

    A skip at `known_gap_at` is the hub's own: the link was reopened there and skipped again.
    """

    next_expected: int
    after: Place | None = None
    known_gap_at: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One event for the predictions hub: how many predictions, and when their oldest reading came in."""

    event: EventData
    rows: int
    oldest_enqueued_us: int


class PartitionPipeline:
    """Events are judged in the order of delivery and priced in that order; after a skip it is done for."""

    def __init__(
        self,
        settings: ScorerSettings,
        partition_id: str,
        source_created_at: datetime,
        start: Start,
        served: ServedModel,
    ) -> None:
        self._partition = int(partition_id)
        self._max_rows = settings.max_rows
        self._created_at = source_created_at
        self._start = start
        self._served = served
        self._form = settings.output
        self._contiguity = Contiguity(start.next_expected)
        self._decoder = BodyDecoder(READING)
        self._next_sequence = NEXT_SEQUENCE.labels(settings.telemetry_hub, partition_id)
        self._next_sequence.set(start.next_expected)

    @property
    def next_expected(self) -> int:
        return self._contiguity.next_expected

    def judge(self, events: Sequence[EventData]) -> tuple[list[EventData], int | None]:
        """The events that come next, and the sequence number that the link skipped to, if it did."""
        fresh: list[EventData] = []
        for event in events:
            sequence = sequence_of(event)
            step = self._contiguity.judge(sequence)
            if step is Step.SKIP:
                if self.next_expected != self._start.known_gap_at:
                    return fresh, sequence
                self._cross_gap(sequence)
                step = self._contiguity.judge(sequence)
            if step is Step.NEXT:
                fresh.append(event)
            else:
                EVENTS_SEEN.inc()
        return fresh, None

    def outputs(self, events: Sequence[EventData]) -> Iterator[Output]:
        """Priced one by one as they are asked for; a bad record has none: ingest keeps it with its bytes.

        By one version, however many outputs an event fills and however often the model is swapped meanwhile.
        """
        pricer = self._served.pricer
        bodies = PredictionBodies(pricer.manifest, self._partition, self._form)
        decoded = (self._decoded(event) for event in events)
        for chunk in chunks_of(decoded, self._max_rows, (*CARRIED, *pricer.fields)):
            yield Output(self._priced(chunk, pricer, bodies), len(chunk), chunk.oldest_enqueued_us)
        self._next_sequence.set(sequence_of(events[-1]) + 1)

    def _cross_gap(self, sequence: int) -> None:
        first = self.next_expected
        count = self._contiguity.jump(sequence)
        EVENTS_GONE.inc(count)
        log.warning("events_gone", partition=self._partition, first=first, events=count)

    def _decoded(self, event: EventData) -> SourceEvent:
        sequence = sequence_of(event)
        decoded = self._decoder.decode(body_of(event), content_type_of(event))
        after = self._start.after
        if after is not None and sequence == after.sequence:
            decoded = without_lines_through(decoded, after.line)
        if decoded.bad:
            BAD_READINGS.inc(len(decoded.bad))
        return SourceEvent(sequence, enqueued_us(event), decoded)

    def _priced(self, chunk: Chunk, pricer: Pricer, bodies: PredictionBodies) -> EventData:
        columns = (
            pricer.columns_of(chunk.records)
            if chunk.batch is None
            else {name: chunk.batch.column(name) for name in pricer.fields}
        )
        body, content_type = bodies.encode(chunk, pricer.price(columns), datetime.now(UTC))
        event = EventData(body)
        event.content_type = content_type
        lineage = Lineage(self._created_at, self._partition, chunk.first, chunk.last)
        event.properties = lineage.properties()
        return event
