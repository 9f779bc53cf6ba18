"""One task per partition calls its handler, one call at a time, and flushes when a flush is due.

The receive callback only enqueues events, and blocks while enough events are waiting (back-pressure). So when
the SDK cancels a callback, no commit or send is interrupted, and a timed flush never runs beside one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from shared.service.errors import SourceUnavailable
from shared.service.tasks import cancel_until_done
from shared.streams.event import Event
from shared.streams.handler_protocols import PartitionHandler, ReceiveLimits
from shared.streams.sequenced_feed import SequencedFeed

H = TypeVar("H", bound=PartitionHandler)


class PartitionTask(Generic[H]):
    """The task of one partition, which runs from its construction on.

    The task ends by `drain`, by `close`, or by an exception, which the next `offer` raises.
    """

    def __init__(
        self,
        handler: H,
        feed: SequencedFeed,
        limits: ReceiveLimits,
        verify_link: Callable[[], Awaitable[None]],
        on_handled: Callable[[int], object],
    ) -> None:
        """Start the task.

        `verify_link` is awaited before each piece of events. At the start, and after each piece that was
        handled whole, `on_handled` is called with the next expected sequence number.
        """
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
        """The sequence number after the last event handled."""
        return self._feed.next_expected

    async def offer(self, events: Sequence[Event]) -> None:
        """Enqueue events, waiting while there is no room.

        Raises the task's exception if one ended the task; an empty `events` only checks for this.
        """
        while events and len(self._waiting) >= self._limits.waiting_events and not self._has_ended():
            self._has_room.clear()
            await self._has_room.wait()
        if events and not self._has_ended():
            self._waiting += events
            self._has_work.set()
        if self.failure is not None and not self._is_ending:
            raise self.failure

    async def drain(self) -> None:
        """End after the current piece and flush all handled events. Raises the error if one prevents this."""
        self._is_draining = True
        self._end()
        await asyncio.shield(self._task)

    async def close(self, timeout_s: float = 0.0) -> None:
        """End after the current step, or interrupt that step after `timeout_s`; nothing is flushed."""
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
        elif not self._is_ending:
            # Without a failure `offer` would drop events, and nothing would open the partition again.
            self.failure = SourceUnavailable("the partition's task was cancelled from within")
        self._has_room.set()  # an `offer` that waits for room must return

    async def _run(self) -> None:
        while await self._has_arrived():
            for piece in _split_pieces(await self._gather(), self._limits.piece_bytes):
                await self._verify_link()
                await self._feed.feed(piece)
                if self._is_ending:
                    break  # the handler may have stopped in the middle of the piece
                self._on_handled(self._feed.next_expected)
                await asyncio.sleep(0)
        if self._is_draining:
            await self.handler.flush()

    async def _has_arrived(self) -> bool:
        """Wait for events, flushing whenever a flush is due; return False once the task is to end."""
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
        """Return the waiting events and those that arrive within `gather_s`.

        Stop waiting early once they amount to a piece.
        """
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
