"""Where scoring resumes: after the highest reading priced in the output partition's tail."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import Counter

from services.scorer.stream.lineage import Lineage, Place, read_lineage
from services.scorer.stream.pipeline import Handover
from shared.service.errors import HubRecreated
from shared.service.logs import log
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.partition_events import Gap, partition_events
from shared.streams.hub_properties import PartitionBounds

# The number of events read first; if none is a scorer's, ten times as many are read, and so on.
_TAIL_EVENTS = 100


EVENTS_EXPIRED = Counter(
    "fleetprice_scorer_expired_events_total", "Events that retention took before scoring"
)


@dataclass(frozen=True, slots=True)
class ScoringStart:
    """The next event to read, and how far a predecessor priced the readings of that event."""

    next_expected: int
    handover: Handover = field(default_factory=Handover)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of an output partition.

    `after` is the highest reading priced, or None; `version` is the model version that priced it.
    `was_written` tells whether the partition ever held an event.
    """

    after: Place | None
    was_written: bool
    version: str | None = None


async def read_tail(output: Hub, partition: int, created_at: datetime) -> Tail:
    """Read the output partition's tail. Raises HubRecreated if the tail prices another telemetry hub."""
    bounds = await output.bounds(partition)
    oldest, last = bounds.oldest, bounds.last
    if oldest > last:
        return Tail(None, was_written=last >= 0)
    window = _TAIL_EVENTS
    while True:
        start = max(oldest, last + 1 - window)
        found = [
            _require_same_hub(lineage, created_at)
            async for lineage in _read_lineages(output, partition, start, last)
        ]
        if found:
            # Of doubles the first counts, as for readers.
            highest = max(found, key=lambda lineage: lineage.last)
            return Tail(highest.last, was_written=True, version=highest.version)
        if start == oldest:
            return Tail(None, was_written=True)
        window *= 10


async def _read_lineages(output: Hub, partition: int, start: int, last: int) -> AsyncIterator[Lineage]:
    async for events in partition_events(output.client, str(partition), after=start - 1, until=last):
        if not isinstance(events, Gap):
            for event in events:
                if (lineage := read_lineage(event)) is not None:
                    yield lineage


def _require_same_hub(lineage: Lineage, created_at: datetime) -> Lineage:
    if lineage.created_at != created_at:
        raise HubRecreated(
            f"the telemetry hub was created at {created_at.isoformat()}, predictions are of one created at "
            f"{lineage.created_at.isoformat()}: re-create the predictions hub, or name a new one in "
            "FLEETPRICE_PREDICTIONS_HUB"
        )
    return lineage


@dataclass(slots=True)
class ExpiredEvents:
    """A recorder of the events of one hub that retention removed before they were scored, each once."""

    hub: str
    _noted_before: dict[int, int] = field(default_factory=dict)

    def note(self, partition: int, first: int, before: int) -> None:
        """Count and log the events from `first` to `before`, except those noted at an earlier start."""
        first = max(first, self._noted_before.get(partition, 0))
        if first < before:
            self._noted_before[partition] = before
            EVENTS_EXPIRED.inc(before - first)
            log.warning(
                "events_expired",
                hub=self.hub,
                partition=partition,
                first_sequence_number=first,
                events=before - first,
            )


async def find_start(
    tail: Tail,
    source: PartitionBounds,
    hint: Callable[[], Awaitable[int | None]],
    partition: int,
    expired: ExpiredEvents,
) -> ScoringStart:
    """Return where scoring starts in a source partition.

    `hint` reads the partition's checkpoint blob, and is used only if retention emptied the output partition.
    Raises HubRecreated if events were priced that the source hub never held.
    """
    after = tail.after
    next_expected = after.sequence if after is not None else 0
    if after is None and tail.was_written:
        hinted = await hint()  # retention emptied the output partition
        next_expected = 0 if hinted is None else hinted + 1
    if next_expected > source.last + 1:
        raise HubRecreated(
            f"prices reach to event {next_expected - 1} of partition {partition}, but the telemetry hub "
            f"ends at {source.last}: it was re-created; name a new hub in FLEETPRICE_PREDICTIONS_HUB"
        )
    if next_expected >= source.oldest:
        return ScoringStart(next_expected, Handover(after, tail.version))
    first_unread = next_expected if after is None else next_expected + 1
    expired.note(partition, first_unread, source.oldest)
    return ScoringStart(source.oldest)
