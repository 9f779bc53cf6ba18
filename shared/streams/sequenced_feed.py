"""Contiguous or stop: a handler gets each event once and in sequence, and a gap only if it is confirmed."""

from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter, eq

from prometheus_client import Counter

from shared.service.errors import GapUnexplained
from shared.streams.event import Event
from shared.streams.handler_protocols import PartitionHandler, Start
from shared.streams.sequence_tracker import SequenceTracker, Step

REDELIVERED = Counter(
    "fleetprice_streams_redelivered_events_total", "Events delivered again and dropped", ["hub"]
)

_sequence_number = attrgetter("sequence_number")


class SequencedFeed:
    """The feed of one partition's events to its handler.

    `next_expected` is the sequence number after the last event handled.
    """

    def __init__(
        self, handler: PartitionHandler, hub: str, start: Start, skipped_at: int | None = None
    ) -> None:
        """Expect events from `start` on.

        A skip is a confirmed gap if it is at `start` and `start.is_gap_known`, or else if it is at
        `skipped_at`, the event at which an earlier link skipped too.
        """
        self._handler = handler
        self._tracker = SequenceTracker(start.next_expected)
        self._known_gap_at = start.next_expected if start.is_gap_known else skipped_at
        self._redelivered = REDELIVERED.labels(hub)
        self.next_expected = start.next_expected

    async def feed(self, events: Sequence[Event]) -> None:
        """Pass the events to the handler, without repeated ones and split at confirmed gaps.

        Raises GapUnexplained if the link skips events anywhere else. The events before the skip are handled
        and flushed first; then the link must be reopened at the expected event.
        """
        try:
            for run in self._runs(events):
                await self._handler.handle(run)
                self.next_expected = run[-1].sequence_number + 1
        except GapUnexplained:
            await self._handler.flush()
            raise

    def _runs(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        """Yield runs of consecutive events, without repeated ones.

        Raises GapUnexplained if the link skips events where no gap is confirmed.
        """
        tracker = self._tracker
        if all(map(eq, map(_sequence_number, events), count(tracker.next_expected))):
            tracker.advance(len(events))
            yield events
            return
        run: list[Event] = []
        for event in events:
            step = tracker.judge(event.sequence_number)
            if step is Step.SKIP:
                if run:
                    yield run
                self._cross_gap(event.sequence_number)
                run, step = [], tracker.judge(event.sequence_number)
            if step is Step.NEXT:
                run.append(event)
            else:
                self._redelivered.inc()
        if run:
            yield run

    def _cross_gap(self, sequence_number: int) -> None:
        expected = self._tracker.next_expected
        if expected != self._known_gap_at:
            raise GapUnexplained(f"expected event {expected}, the link brought {sequence_number}")
        self._tracker.jump(sequence_number)
