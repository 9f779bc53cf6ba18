"""The landing of one partition: decode, gather, roll, commit, checkpoint."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from typing import Protocol

from services.ingest.commit import Committer, Overtaken
from services.ingest.open_file import EVENT_BYTES, FileContents, OpenFile, RollPolicy
from services.ingest.replayed_rows import tag_replayed_rows
from shared.codec.batch_decoder import EMPTY, DecodedBatch
from shared.codec.body_decoder import BodyDecoder, Decoded
from shared.codec.content_encoding import is_gzip
from shared.codec.fast_path.columnar_decoder import ColumnarDecoder
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import HOUR_US
from shared.service.errors import HubRecreated
from shared.service.logs import log
from shared.streams.decode_trial import DecodeTrial
from shared.streams.event import Event
from shared.streams.handler_protocols import Start
from shared.streams.hub_properties import PartitionBounds
from shared.streams.poison import GuardedDecoder

# Events decoded together: enough to share the fixed cost, few enough to decode again if one is bad.
_RUN_EVENTS = 1_024


class Progress(Protocol):
    """A recorder of where each partition's chain ends."""

    async def note_start(self, partition: int, head: Head, *, is_first: bool) -> None:
        """Record the chain's end when the partition is opened; with `is_first` the chain has no file yet."""

    async def note_commit(self, partition: int, head: Head) -> None:
        """Record the chain's end after a commit."""

    def forget(self, partition: int) -> None:
        """Drop the records of a partition that was closed."""


class PartitionIngest:
    """A PartitionHandler whose sink is the lake's chain of files."""

    def __init__(
        self,
        committer: Committer,
        policy: RollPolicy,
        bounds: Callable[[], Awaitable[PartitionBounds]],
        progress: Progress,
        named: frozenset[int] = frozenset(),
        memory_share: Callable[[], float] = lambda: inf,
        is_abandoned: bool = False,
        on_trial_end: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write with `committer` to the chain, resuming at its head.

        `bounds` reads the partition's bounds from the hub. `named` are sequence numbers of events to
        dead-letter undecoded. `memory_share` returns how many bytes of memory the open file may take at
        present; a file that reaches this is full even if `policy` allows more. If the former owner ended
        abnormally (`is_abandoned`), events are tried in a child process until the first commit, and
        `on_trial_end` is called.
        """
        self.committer = committer
        self.last_enqueued_us: int | None = None
        self.uncommitted_since_s: float | None = None
        self._policy = policy
        self._bounds = bounds
        self._progress = progress
        self._memory_share = memory_share
        self._clock = clock
        source, partition = committer.source, committer.chain.partition
        self._decoder = GuardedDecoder(partial(BodyDecoder, source.contract), source.hub, partition, named)
        self._trial = DecodeTrial(
            self._decoder, partial(ColumnarDecoder, source.contract), is_abandoned, on_trial_end
        )
        self._alone_through = -1
        self._runs = ColumnarDecoder(committer.source.contract)
        self._open: OpenFile | None = None
        self._next_expected = 0

    async def start(self) -> Start:
        """Return the event after the chain's newest file; if there is no chain, the hub's oldest event.

        Raises HubRecreated if the lake has later events than the hub.
        """
        bounds, head = await self._bounds(), self.committer.head
        start = Start(bounds.oldest)
        if head is not None:
            if head.next_first > bounds.last + 1:
                raise HubRecreated(
                    f"partition {self.committer.chain.partition} of hub {self.committer.source.hub} ends at "
                    f"event {bounds.last}, the lake at {head.next_first - 1}: the hub lost events; restore "
                    "it or name another file system"
                )
            start = Start(head.next_first, is_gap_known=bounds.oldest > head.next_first)
        self._next_expected = start.next_expected
        standing = head or Head(start.next_expected, 0)
        await self._progress.note_start(self.committer.chain.partition, standing, is_first=head is None)
        return start

    def due_in_s(self) -> float | None:
        """Return the seconds until the open file must be committed; None if no file is open."""
        if self._open is None:
            return None
        return self._policy.due_in_s(self._open.opened_at_s, self._clock())

    async def handle(self, events: Sequence[Event]) -> None:
        """Add events to the open file; return once every file that they fill is committed.

        Raises Overtaken or SinkUnavailable if the partition must be reopened from the lake. Each event is
        then either committed or still in the hub.
        """
        if events[0].sequence_number > self._next_expected:
            await self._cross_gap(events[0])
        await self._trial.try_out(events)
        place = 0
        while place < len(events):
            added = self._add_run(events[place : place + _RUN_EVENTS])
            if not added:
                await self._add_one(events[place])
            place += added or 1
            if self._is_full():
                await self._commit()

    async def flush(self) -> None:
        """Commit the open file, if there is one."""
        await self._commit()

    def stop(self) -> None:
        """Do nothing: handling a piece takes little time, and a commit may be interrupted anywhere."""

    async def close(self) -> None:
        """Drop events that are not committed; they are still in the hub."""
        self._progress.forget(self.committer.chain.partition)

    def _is_full(self) -> bool:
        if self._open is None:
            return False
        if self._open.memory_bytes >= self._memory_share():
            return True
        return self._policy.is_full(self._open.rows, self._open.size_bytes)

    def _add_run(self, events: Sequence[Event]) -> int:
        """Add the leading events that can be decoded together; return their number.

        The number is 0 if the first event must be decoded by itself. The last event added may fill the open
        file.
        """
        if self._open is None:
            return 0
        rows, size_bytes = self._policy.left(self._open.rows, self._open.size_bytes)
        end_us = (self._open.hour + 1) * HOUR_US
        content_type, encoding = events[0].content_type, events[0].content_encoding
        if is_gzip(encoding) or events[0].sequence_number <= self._alone_through:
            return 0  # gzip: expanded together, a few events could take gigabytes
        bodies: list[bytes] = []
        alone = self._decoder.alone
        for event in events:
            if (
                event.content_type != content_type
                or event.content_encoding != encoding
                or event.fault is not None
                or event.enqueued_us >= end_us
                or size_bytes <= 0
                or event.replay_of is not None
                or (alone and event.sequence_number in alone)
            ):
                break
            body = event.body
            size_bytes -= len(body) + EVENT_BYTES
            bodies.append(body)
        run = self._decode_run(events[: len(bodies)], bodies, rows)
        added = len(run.counts)
        if added:
            self._open.add_batch(events[:added], run)
            self._next_expected += added
            self.last_enqueued_us = events[added - 1].enqueued_us
        return added

    async def _add_one(self, event: Event) -> None:
        hour = event.enqueued_us // HOUR_US
        await self._roll_to(hour)
        self._add_decoded(event, hour)

    async def _roll_to(self, hour: int) -> None:
        """Commit the open file if an event of `hour` belongs to a later folder."""
        if self._open is not None and hour > self._open.hour:
            await self._commit(next_hour=hour)

    def _add_decoded(self, event: Event, hour: int) -> None:
        if self._open is None:
            head = self.committer.head
            folder_hour = hour if head is None else max(hour, head.next_hour)
            chain = self.committer.chain
            contract = self.committer.source.contract
            now_s = self._clock()
            self._open = OpenFile(contract, chain.partition, event.sequence_number, folder_hour, now_s)
            self.uncommitted_since_s = now_s
        self._open.add(event, self._decode(event))
        self._next_expected += 1
        self.last_enqueued_us = event.enqueued_us

    def _decode_run(self, events: Sequence[Event], bodies: Sequence[bytes], max_rows: int) -> DecodedBatch:
        """Decode events together; if that raises an error, each of them is decoded by itself."""
        if not bodies:
            return EMPTY
        try:
            return self._runs.decode(bodies, events[0].content_type, max_rows)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the event at fault raises it again when it is alone
            self._alone_through = events[-1].sequence_number
            self._runs = ColumnarDecoder(self.committer.source.contract)
            log.warning(
                "events_decoded_alone",
                hub=self.committer.source.hub,
                partition=self.committer.chain.partition,
                first_sequence_number=events[0].sequence_number,
                reason=str(error),
            )
            return EMPTY

    def _decode(self, event: Event) -> Decoded:
        decoded = self._decoder.decode(event)
        return decoded if event.replay_of is None else tag_replayed_rows(decoded, event.replay_of)

    async def _commit(self, next_hour: int | None = None) -> None:
        if self._open is not None:
            contents = self._open.to_contents(next_hour)
            self._open = None
            await self._land(contents)

    async def _cross_gap(self, event: Event) -> None:
        """Commit the open file, then record that retention removed the events before this one."""
        hour = event.enqueued_us // HOUR_US
        await self._roll_to(hour)
        await self._commit()
        expected, self._next_expected = self._next_expected, event.sequence_number
        head = self.committer.head
        here = hour if head is None else head.next_hour
        table = self.committer.source.contract.raw_schema.empty_table()
        offset = "" if head is None else head.last_offset
        last = event.sequence_number - 1
        await self._land(FileContents(expected, last, offset, here, max(here, hour), table, is_gap=True))

    async def _land(self, contents: FileContents) -> None:
        # A crash in here costs nothing: the next start reads these events again (see `commit`).
        await self.committer.land(contents)
        self.uncommitted_since_s = None
        self._trial.end()
        head = self.committer.head
        if head is None:
            raise AssertionError("a range landed in a chain without a root")
        # A crash before this leaves a checkpoint that is behind; it is a hint: reading resumes from the lake.
        await self._progress.note_commit(self.committer.chain.partition, head)
        if head.next_first > self._next_expected:
            raise Overtaken(f"another writer's files reach to event {head.next_first - 1}")
