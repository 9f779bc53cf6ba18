"""Source events of one partition → output events, in source order: contiguity, decode, price, encode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.eventhub import EventData
from prometheus_client import Counter

from services.scorer.settings import ScorerSettings
from services.scorer.stream.bodies import CARRIED, Body, PredictionBodies
from services.scorer.stream.chunks import Chunk, chunks_of
from services.scorer.stream.decoding import ROWS_TOGETHER, Readings
from services.scorer.stream.lineage import Lineage, Place
from shared.pricing.pricer import ActivePriceModel, Columns, Pricer
from shared.service.logs import log
from shared.streams.event import Event
from shared.streams.metrics import NEXT_SEQUENCE
from shared.streams.sequence_tracker import SequenceTracker, Step

EVENTS_SEEN = Counter("fleetprice_scorer_redelivered_events_total", "Events delivered again and dropped")
EVENTS_GONE = Counter("fleetprice_scorer_expired_events_total", "Events that retention took before scoring")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts: the next event to take in, and the last reading of it that has a price.

    A skip at `known_gap_at` is the hub's own: the link was reopened there and skipped again. `version` of the
    model priced the reading at `after`.
    """

    next_expected: int
    after: Place | None = None
    known_gap_at: int | None = None
    version: str | None = None


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
        served: ActivePriceModel,
    ) -> None:
        self._partition = int(partition_id)
        self._max_rows = settings.max_rows
        self._most_rows = max(1, ROWS_TOGETHER // settings.max_rows) * settings.max_rows
        self._created_at = source_created_at
        self._start = start
        self._served = served
        self._form = settings.output
        self._contiguity = SequenceTracker(start.next_expected)
        self._readings = Readings(start.after)
        self._bodies: tuple[Pricer, PredictionBodies] | None = None
        self._next_sequence = NEXT_SEQUENCE.labels(settings.telemetry_hub, partition_id)
        self._next_sequence.set(start.next_expected)

    @property
    def next_expected(self) -> int:
        return self._contiguity.next_expected

    def judge(self, events: Sequence[Event]) -> tuple[Sequence[Event], int | None]:
        """The events that come next, and the sequence number that the link skipped to, if it did."""
        if _follow_each_other(events, self.next_expected):
            self._contiguity.advance(len(events))
            return events, None
        fresh: list[Event] = []
        for event in events:
            step = self._contiguity.judge(event.sequence_number)
            if step is Step.SKIP:
                if self.next_expected != self._start.known_gap_at:
                    return fresh, event.sequence_number
                self._cross_gap(event.sequence_number)
                step = self._contiguity.judge(event.sequence_number)
            if step is Step.NEXT:
                fresh.append(event)
            else:
                EVENTS_SEEN.inc()
        return fresh, None

    def begun_by(self, events: Sequence[Event]) -> str | None:
        """The version that is to finish the first of `events`, where it began it and another serves now."""
        version = self._start.version
        if version in (None, self._served.pricer.manifest.version):
            return None
        return version if self._readings.has_rest(events[0]) else None

    def outputs(self, events: Sequence[Event], begun: Pricer | None = None) -> Iterator[Output]:
        """Priced as they are asked for; a bad record has none: ingest keeps it with its bytes.

        By one version, however many outputs an event fills and however often the model is swapped meanwhile;
        the first event by `begun` where a predecessor began it by that.
        """
        if begun is not None:
            yield from self._outputs_by(begun, events[:1])
        if rest := events if begun is None else events[1:]:
            yield from self._outputs_by(self._served.pricer, rest)
        self._next_sequence.set(events[-1].sequence_number + 1)

    def _outputs_by(self, pricer: Pricer, events: Sequence[Event]) -> Iterator[Output]:
        bodies = self._bodies_by(pricer)
        gathered = self._readings.of(events, (*CARRIED, *pricer.fields))
        for chunk in chunks_of(gathered, self._most_rows):
            priced = pricer.price(_inputs_of(chunk, pricer))
            for part, body in bodies.encoded(chunk, priced, datetime.now(UTC), self._max_rows):
                event = self._event(part, body, pricer.manifest.version)
                yield Output(event, len(part), part.oldest_enqueued_us)

    def _bodies_by(self, pricer: Pricer) -> PredictionBodies:
        """Kept from batch to batch, until the version changes."""
        if self._bodies is None or self._bodies[0] is not pricer:
            self._bodies = (pricer, PredictionBodies(pricer.manifest, self._partition, self._form))
        return self._bodies[1]

    def _cross_gap(self, sequence: int) -> None:
        first = self.next_expected
        count = self._contiguity.jump(sequence)
        EVENTS_GONE.inc(count)
        log.warning("events_gone", partition=self._partition, first_sequence_number=first, events=count)

    def _event(self, part: Chunk, body: Body, version: str) -> EventData:
        event = EventData(body[0])
        event.content_type = body[1]
        lineage = Lineage(self._created_at, self._partition, part.first, part.last, version)
        event.properties = lineage.properties()
        return event


def _follow_each_other(events: Sequence[Event], expected: int) -> bool:
    return all(event.sequence_number == number for number, event in enumerate(events, start=expected))


def _inputs_of(chunk: Chunk, pricer: Pricer) -> Columns:
    if chunk.batch is None:
        return pricer.columns_of(chunk.records)
    return {name: chunk.batch.column(name) for name in pricer.fields}
