"""The pricing of one partition's events into output events, in source order: decode, price, encode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.scorer.settings import ScorerSettings
from services.scorer.stream.chunks import Chunk, regroup_chunks
from services.scorer.stream.decoding import ROWS_TOGETHER, ReadingDecoder
from services.scorer.stream.lineage import Lineage, Place
from services.scorer.stream.output_bodies import CARRIED, Body, PredictionBodies
from shared.pricing.pricer import ActivePriceModel, Columns, Pricer
from shared.streams.event import Event
from shared.streams.event_hubs.messages import EventData, make_event
from shared.streams.poison import GuardedDecoder


@dataclass(frozen=True, slots=True)
class Handover:
    """The last reading that a predecessor priced, or None, and the model version that priced it."""

    through: Place | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An event for the predictions hub, its number of predictions, and its oldest enqueued time.

    `oldest_enqueued_us` is the time at which the event of its first reading was enqueued.
    """

    event: EventData
    rows: int
    oldest_enqueued_us: int


class PricingPipeline:
    """The steps that turn source events of one partition into output events."""

    def __init__(
        self,
        settings: ScorerSettings,
        partition: int,
        source_created_at: datetime,
        handover: Handover,
        active: ActivePriceModel,
        decoder: GuardedDecoder,
    ) -> None:
        """Continue after the last reading in `handover`, which may be in the middle of an event."""
        self._partition = partition
        self._max_rows = settings.max_rows
        self._chunk_rows = max(1, ROWS_TOGETHER // settings.max_rows) * settings.max_rows
        self._created_at = source_created_at
        self._handover = handover
        self._active = active
        self._form = settings.output
        self._decoder = ReadingDecoder(handover.through, decoder)
        self._bodies: tuple[Pricer, PredictionBodies] | None = None

    def version_to_finish(self, events: Sequence[Event]) -> str | None:
        """Return the version that must finish the first event, or None if the active version may.

        It is the version with which a predecessor priced the first readings of that event, if some are left
        unpriced and another version is active now.
        """
        version = self._handover.version
        if version in (None, self._active.pricer.manifest.version):
            return None
        return version if self._decoder.has_unpriced_readings(events[0]) else None

    def price_events(self, events: Sequence[Event], first_pricer: Pricer | None = None) -> Iterator[Output]:
        """Yield output events, pricing as they are requested; bad records get no prediction.

        One model version prices all events of a call, even if the model is swapped meanwhile. The exception
        is the first event if `first_pricer` is given: this is the version with which a predecessor priced
        that event's first readings.
        """
        if first_pricer is not None:
            yield from self._price_with(first_pricer, events[:1])
        if rest := events if first_pricer is None else events[1:]:
            yield from self._price_with(self._active.pricer, rest)

    def _price_with(self, pricer: Pricer, events: Sequence[Event]) -> Iterator[Output]:
        bodies = self._bodies_for(pricer)
        gathered = self._decoder.decode(events, (*CARRIED, *pricer.fields))
        for chunk in regroup_chunks(gathered, self._chunk_rows):
            priced = pricer.price(_select_inputs(chunk, pricer))
            for part, body in bodies.encode(chunk, priced, datetime.now(UTC), self._max_rows):
                event = self._build_event(part, body, pricer.manifest.version)
                yield Output(event, len(part), part.oldest_enqueued_us)

    def _bodies_for(self, pricer: Pricer) -> PredictionBodies:
        """Return the encoder for the pricer's version, cached until the version changes."""
        if self._bodies is None or self._bodies[0] is not pricer:
            self._bodies = (pricer, PredictionBodies(pricer.manifest, self._partition, self._form))
        return self._bodies[1]

    def _build_event(self, part: Chunk, body: Body, version: str) -> EventData:
        lineage = Lineage(self._created_at, self._partition, part.first, part.last, version)
        return make_event(*body, lineage.properties())


def _select_inputs(chunk: Chunk, pricer: Pricer) -> Columns:
    if chunk.batch is None:
        return pricer.columns_of(chunk.records)
    return {name: chunk.batch.column(name) for name in pricer.fields}
