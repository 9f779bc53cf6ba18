"""One task per partition feeds its handler, one call at a time, and flushes on the clock.

The receive callback only hands over, and waits while enough is waiting already: back-pressure. So a callback
that the SDK cancels never cuts a commit or a send short, and no clock races with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from shared.service.tasks import cancel_until_done
from shared.streams.event import Event
from shared.streams.handler_protocols import PartitionHandler, ReceiveLimits
from shared.streams.sequenced_feed import SequencedFeed

H = TypeVar("H", bound=PartitionHandler)


class PartitionTask(Generic[H]):
    """Starts at once; ends by `drain`, `close`, or an exception that the next `offer` raises."""

    def __init__(
        self,
        handler: H,
        feed: SequencedFeed,
        limits: ReceiveLimits,
        verify_link: Callable[[], Awaitable[None]],
        on_handled: Callable[[int], object],
    ) -> None:
        """`verify_link` is awaited before events are handled, `handled` is called after with the next one."""
        self.handler = handler
        self.failure: BaseException | None = None
        self._feed = feed
        self._limits = limits
        self._verify_link = verify_link
        self._on_handled = on_handled
        self._waiting: list[Event] = []
        self._has_work, self._has_room = asyncio.Event(), asyncio.Event()
        self._is_ending = self._is_draining = False
        on_handled(feed.next_expected)
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._note_end)

    @property
    def next_expected(self) -> int:
        """The sequence number after the last event that was handled."""
        return self._feed.next_expected

    async def offer(self, events: Sequence[Event]) -> None:
        """Hand over events (or none, only to learn of a failure); raise what ended the task."""
        while events and len(self._waiting) >= self._limits.waiting_events and not self._has_ended():
            self._has_room.clear()
            await self._has_room.wait()
        if events and not self._has_ended():
            self._waiting += events
            self._has_work.set()
        if self.failure is not None and not self._is_ending:
            raise self.failure

    async def drain(self) -> None:
        """Take in no more; return once all that was taken in is flushed, or raise why it is not."""
        self._is_draining = True
        self._end()
        await asyncio.shield(self._task)

    async def close(self, timeout_s: float = 0.0) -> None:
        """End after the step under way, or after `timeout_s` in the midst of it; flush nothing."""
        self._end()
        if timeout_s:
            await asyncio.wait([self._task], timeout=timeout_s)
        await cancel_until_done(self._task)
        await self.handler.close()

    def _has_ended(self) -> bool:
        return self._is_ending or self._task.done()

    def _end(self) -> None:
        self._is_ending = True
        self._waiting = []
        self.handler.stop()
        self._has_work.set()
        self._has_room.set()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failure = task.exception()
        self._has_room.set()  # a callback that waits to hand over must come to see the end

    async def _run(self) -> None:
        while await self._has_arrived():
            for piece in _split_pieces(await self._gather(), self._limits.piece_bytes):
                await self._verify_link()
                await self._feed.feed(piece)
                self._on_handled(self._feed.next_expected)
                await asyncio.sleep(0)
                if self._is_ending:
                    break
        if self._is_draining:
            await self.handler.flush()

    async def _has_arrived(self) -> bool:
        """Wait for events, and flush whenever that is due meanwhile; return False at the end."""
        while not self._waiting and not self._is_ending:
            due_in_s = self.handler.due_in_s()
            if due_in_s == 0:
                await self.handler.flush()
                continue
            self._has_work.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(due_in_s):
                    await self._has_work.wait()
        return not self._is_ending

    async def _gather(self) -> list[Event]:
        """Return what is waiting, and what comes within a moment, up to a piece."""
        gathered = self._pop_waiting()
        if not self._limits.gather_s:
            return gathered
        size_bytes = _count_bytes(gathered)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.gather_s):
                while (
                    size_bytes < self._limits.piece_bytes
                    and len(gathered) < self._limits.piece_events
                    and not self._is_ending
                ):
                    self._has_work.clear()
                    await self._has_work.wait()
                    more = self._pop_waiting()
                    gathered += more
                    size_bytes += _count_bytes(more)
        return gathered

    def _pop_waiting(self) -> list[Event]:
        events, self._waiting = self._waiting, []
        self._has_room.set()
        return events


def _count_bytes(events: Sequence[Event]) -> int:
    return sum([len(event.body) for event in events])


def _split_pieces(events: Sequence[Event], max_bytes: int) -> Iterator[Sequence[Event]]:
    start = size_bytes = 0
    for index, event in enumerate(events, start=1):
        size_bytes += len(event.body)
        if size_bytes >= max_bytes or index == len(events):
            yield events[start:index]
            start, size_bytes = index, 0
