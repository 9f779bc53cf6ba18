"""Where a partition goes on: after the highest reading that the output partition's tail speaks of."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.eventhub.aio import EventHubConsumerClient

from services.scorer.stream.lineage import Lineage, Place, lineage_of
from services.scorer.stream.pipeline import EVENTS_GONE, Start
from shared.service.errors import HubRecreated
from shared.service.logs import log
from shared.streams.event_hubs.partition_events import Gap, partition_events

# Looked at first; where no event in it was a scorer's, ten times as much, up to all that there is.
_TAIL_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Tail:
    """What the output partition says: the highest reading priced, whether it ever held anything, and which
    version of the model priced that reading.
    """

    after: Place | None
    was_written: bool
    version: str | None = None


async def read_tail(output: EventHubConsumerClient, partition_id: str, created_at: datetime) -> Tail:
    """The output partition's tail; raises HubRecreated where it was priced from another telemetry hub."""
    properties = await output.get_partition_properties(partition_id)
    last = int(properties["last_enqueued_sequence_number"])
    oldest = max(0, int(properties["beginning_sequence_number"]))
    if properties["is_empty"]:
        return Tail(None, was_written=last >= 0)
    window = _TAIL_EVENTS
    while True:
        start = max(oldest, last + 1 - window)
        found = [
            _checked(lineage, created_at) async for lineage in _lineages(output, partition_id, start, last)
        ]
        if found:
            # Of doubles the first counts, as it does for readers.
            highest = max(found, key=lambda lineage: lineage.last)
            return Tail(highest.last, was_written=True, version=highest.version)
        if start == oldest:
            return Tail(None, was_written=True)
        window *= 10


async def _lineages(
    output: EventHubConsumerClient, partition_id: str, start: int, last: int
) -> AsyncIterator[Lineage]:
    async for events in partition_events(output, partition_id, after=start - 1, until=last):
        if not isinstance(events, Gap):
            for event in events:
                if (lineage := lineage_of(event)) is not None:
                    yield lineage


def _checked(lineage: Lineage, created_at: datetime) -> Lineage:
    if lineage.created_at != created_at:
        raise HubRecreated(
            f"the telemetry hub was created at {created_at.isoformat()}, predictions are of one created at "
            f"{lineage.created_at.isoformat()}: re-create the predictions hub, or name a new one in "
            "FLEETPRICE_PREDICTIONS_HUB"
        )
    return lineage


async def start_after(
    tail: Tail, source: dict[str, Any], hint: Callable[[], Awaitable[int | None]], partition_id: str
) -> Start:
    """Where to start in a source partition, given its properties; `hint` reads its checkpoint blob.

    Raises HubRecreated where more was priced than the source hub ever held.
    """
    after = tail.after
    next_expected = after.sequence if after is not None else 0
    if after is None and tail.was_written:
        hinted = await hint()  # retention emptied the output partition
        next_expected = 0 if hinted is None else hinted + 1
    last = int(source["last_enqueued_sequence_number"])
    if next_expected > last + 1:
        raise HubRecreated(
            f"prices reach to event {next_expected - 1} of partition {partition_id}, but the telemetry hub "
            f"ends at {last}: it was re-created; name a new hub in FLEETPRICE_PREDICTIONS_HUB"
        )
    oldest = max(0, int(source["beginning_sequence_number"]))
    if next_expected >= oldest:
        return Start(next_expected, after, version=tail.version)
    first_unread = next_expected if after is None else next_expected + 1
    if oldest > first_unread:
        gone = oldest - first_unread
        EVENTS_GONE.inc(gone)
        log.warning(
            "events_gone", partition=int(partition_id), first_sequence_number=first_unread, events=gone
        )
    return Start(oldest)
