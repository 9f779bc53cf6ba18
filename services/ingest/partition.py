"""One partition's pipeline: contiguity, decode, gather, roll, commit, checkpoint. It reads top to bottom."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

import structlog
from prometheus_client import Counter

from services.ingest.commit import Committer, Overtaken
from services.ingest.open_file import EVENT_BYTES, FileContents, OpenFile
from services.ingest.replayed_rows import tag_replayed_rows
from services.ingest.roll_policy import RollPolicy
from shared.codec.batch_decoder import EMPTY
from shared.codec.bodies import BodyDecoder, Decoded, reject_body
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.lake.dead_letters import NAMED_BY_OPERATOR
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import HOUR_US
from shared.service.errors import GapUnexplained
from shared.streams.event import Event
from shared.streams.metrics import NEXT_SEQUENCE
from shared.streams.sequence_tracker import SequenceTracker, Step

log = structlog.get_logger()

# Events decoded at one go: enough to share the cost, few enough to look at again where one is bad.
_RUN_EVENTS = 1_024

EVENTS_SEEN = Counter(
    "fleetprice_ingest_redelivered_events_total", "Events delivered again and dropped", ["hub"]
)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts: the next event, and whether a skip right there is known to be a gap."""

    next_expected: int
    is_gap_known: bool = False

    @classmethod
    def of(cls, head: Head | None, oldest: int, skipped_at: int | None) -> Self:
        """After the chain's newest file; where there is no chain, at the oldest event that the hub has.

        A skip right there is a gap of the hub's own if the hub says so, or if an earlier link skipped there.
        """
        if head is None:
            return cls(max(0, oldest))
        return cls(head.next_first, is_gap_known=oldest > head.next_first or skipped_at == head.next_first)


class PartitionPipeline:
    """Not for concurrent use: one task calls `take` and `flush`; of no further use after an exception."""

    def __init__(
        self,
        committer: Committer,
        policy: RollPolicy,
        start: Start,
        checkpoint: Callable[[int, Head], Awaitable[None]],
        named: frozenset[int] = frozenset(),
        memory_share: Callable[[], float] = lambda: inf,
    ) -> None:
        """`named` are the sequence numbers that an operator wants dead-lettered undecoded.

        `memory_share` is how many bytes of memory the open range may take now, whatever the policy says.
        """
        self.committer = committer
        self.last_enqueued_us: int | None = None
        self.uncommitted_since_s: float | None = None
        self._policy = policy
        self._contiguity = SequenceTracker(start.next_expected)
        self._known_gap_at = start.next_expected if start.is_gap_known else None
        self._checkpoint = checkpoint
        self._named = named
        self._memory_share = memory_share
        self._decoder = BodyDecoder(committer.source.contract)
        self._runs = ColumnarDecoder(committer.source.contract)
        self._open: OpenFile | None = None
        labels = (committer.source.hub, str(committer.lane.partition))
        self._next_sequence = NEXT_SEQUENCE.labels(*labels)
        self._seen_again = EVENTS_SEEN.labels(committer.source.hub)
        self._next_sequence.set(start.next_expected)

    @property
    def next_expected(self) -> int:
        return self._contiguity.next_expected

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the open range must be flushed; None while there is none."""
        return None if self._open is None else self._policy.due_in_s(self._open.opened_at_s, now_s)

    async def take(self, events: Sequence[Event], now_s: float) -> None:
        """Take in events in sequence; returns once whatever they filled is committed.

        Raises GapUnexplained, Overtaken or SinkUnavailable where the partition must be reopened from the
        lake: all events before are then either committed or still in the hub.
        """
        place = 0
        while place < len(events):
            taken = self._take_run(events[place : place + _RUN_EVENTS])
            if not taken:
                await self._take_one(events[place], now_s)
            place += taken or 1
            if self._is_full():
                await self._commit()
        self._next_sequence.set(self._contiguity.next_expected)

    async def flush(self) -> None:
        """Commit what is gathered, however little."""
        await self._commit()

    def _is_full(self) -> bool:
        if self._open is None:
            return False
        if self._open.memory_bytes >= self._memory_share():
            return True
        return self._policy.is_full(self._open.rows, self._open.size_bytes)

    def _take_run(self, events: Sequence[Event]) -> int:
        """Take in as many events as are in sequence, of one kind and plain; 0: look at the first by itself.

        Where the range becomes full by an event, that is the last one.
        """
        if self._open is None:
            return 0
        rows, size_bytes = self._policy.left(self._open.rows, self._open.size_bytes)
        end_us = (self._open.hour + 1) * HOUR_US
        expected, content_type = self._contiguity.next_expected, events[0].content_type
        named, bodies = self._named, []
        for event in events:
            if (
                event.sequence_number != expected
                or event.content_type != content_type
                or event.enqueued_us >= end_us
                or size_bytes <= 0
                or expected in named
                or event.replay_of is not None
            ):
                break
            expected += 1
            body = event.body
            size_bytes -= len(body) + EVENT_BYTES
            bodies.append(body)
        run = self._runs.decode(bodies, content_type, rows) if bodies else EMPTY
        taken = len(run.counts)
        if taken:
            self._open.add_batch(events[:taken], run)
            self._contiguity.advance(taken)
            self.last_enqueued_us = events[taken - 1].enqueued_us
        return taken

    async def _take_one(self, event: Event, now_s: float) -> None:
        hour = event.enqueued_us // HOUR_US
        if self._closes(hour) and event.sequence_number >= self._contiguity.next_expected:
            await self._commit(next_hour=hour)
        step = self._contiguity.judge(event.sequence_number)
        if step is Step.SEEN:
            self._seen_again.inc()
            return
        if step is Step.SKIP:
            await self._cross_gap(event.sequence_number, hour)
            self._contiguity.judge(event.sequence_number)
        self._add(event, hour, now_s)

    def _closes(self, hour: int) -> bool:
        return self._open is not None and hour > self._open.hour

    def _add(self, event: Event, hour: int, now_s: float) -> None:
        if self._open is None:
            head = self.committer.head
            folder_hour = hour if head is None else max(hour, head.next_hour)
            lane = self.committer.lane
            contract = self.committer.source.contract
            self._open = OpenFile(contract, lane.partition, event.sequence_number, folder_hour, now_s)
            self.uncommitted_since_s = now_s
        self._open.add(event, self._decode(event))
        self.last_enqueued_us = event.enqueued_us

    def _decode(self, event: Event) -> Decoded:
        if event.sequence_number in self._named:
            return reject_body(event.body, NAMED_BY_OPERATOR)
        decoded = self._decoder.decode(event.body, event.content_type)
        return decoded if event.replay_of is None else tag_replayed_rows(decoded, event.replay_of)

    async def _commit(self, next_hour: int | None = None) -> None:
        if self._open is not None:
            cut = self._open.cut(next_hour)
            self._open = None
            await self._land(cut)

    async def _cross_gap(self, sequence_number: int, hour: int) -> None:
        """Record that retention took the events before this one; GapUnexplained unless that is known."""
        await self._commit()
        expected = self._contiguity.next_expected
        if expected != self._known_gap_at:
            raise GapUnexplained(f"expected event {expected}, the link brought {sequence_number}")
        self._contiguity.jump(sequence_number)
        head = self.committer.head
        here = hour if head is None else head.next_hour
        table = self.committer.source.contract.raw_schema.empty_table()
        offset = "" if head is None else head.last_offset
        await self._land(
            FileContents(expected, sequence_number - 1, offset, here, max(here, hour), table, is_gap=True)
        )

    async def _land(self, cut: FileContents) -> None:
        # A crash in here costs nothing that the next start does not read again: see `commit`.
        await self.committer.land(cut)
        self.uncommitted_since_s = None
        head = self.committer.head
        if head is None:
            raise AssertionError("a range landed in a chain without a root")
        # A crash before this leaves a checkpoint that is behind: it is a hint, the lake says where to go on.
        await self._checkpoint(self.committer.lane.partition, head)
        if head.next_first > self._contiguity.next_expected:
            raise Overtaken(f"another writer's files reach to event {head.next_first - 1}")
