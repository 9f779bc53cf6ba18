"""One task per partition: it takes in events, commits them and flushes on the clock, one thing at a time.

The receive callback only hands over, and waits while the batch before is being worked on: backpressure. So a
callback that the SDK cancels never cuts a commit short, and no clock races with it.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from services.ingest.hub import HubIdentityCheck
from services.ingest.partition import PartitionPipeline
from shared.service.tasks import cancel_until_done
from shared.streams.event import Event

# What is decoded at one go before other partitions get their turn; and how long is waited for so much, for
# the SDK hands over little more than what came in since the last turn, which costs twice as much a reading.
_PIECE_BYTES, _PIECE_EVENTS = 2 * 2**20, 1_024
_GATHERING_S = 0.2


class PartitionWorker:
    """Starts working at once; ends by `drain`, `abandon`, or an exception that the next `offer` raises."""

    def __init__(self, pipeline: PartitionPipeline, same_hub: HubIdentityCheck, max_bytes: int) -> None:
        """`max_bytes` is what may be gathered before it is decoded, whatever is best."""
        self.pipeline = pipeline
        self._piece_bytes = min(_PIECE_BYTES, max_bytes)
        self._same_hub = same_hub
        self._inbox: asyncio.Queue[Sequence[Event] | None] = asyncio.Queue(1)
        self._is_draining = False
        self._task = asyncio.create_task(self._run())

    async def offer(self, events: Sequence[Event]) -> None:
        """Hand over events (or none, just to learn of a failure); raises what ended the work."""
        if events and not self._is_draining and not self._task.done():
            self._same_hub.received()
            await self._inbox.put(events)
        if self._task.done() and not self._is_draining:
            self._task.result()

    async def drain(self) -> None:
        """Take in no more; returns once everything taken in is committed, or raises why it is not."""
        self._is_draining = True
        self._empty_inbox()
        self._inbox.put_nowait(None)
        await asyncio.shield(self._task)

    async def abandon(self) -> None:
        """Stop at once; what is not committed is still in the hub. Never raises."""
        await cancel_until_done(self._task)  # what it raised was raised to the callback before

    async def ended(self) -> None:
        """Wait for the end, whatever it is."""
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while (events := await self._next()) is not None:
                for piece in _pieces(await self._gathered(events), self._piece_bytes):
                    await self.pipeline.take(piece, time.monotonic())
                    await asyncio.sleep(0)
                    if self._is_draining:
                        break
            await self.pipeline.flush()
        finally:
            self._empty_inbox()  # a callback that waits to hand over must come to see the end

    async def _next(self) -> Sequence[Event] | None:
        """The next batch; flushes whenever the range becomes too old while waiting for it."""
        while True:
            due_in_s = self.pipeline.due_in_s(time.monotonic())
            if due_in_s == 0:
                await self.pipeline.flush()
                continue
            try:
                async with asyncio.timeout(due_in_s):
                    return await self._inbox.get()
            except TimeoutError:
                continue

    async def _gathered(self, events: Sequence[Event]) -> Sequence[Event]:
        """These, and what is handed over within a moment, up to a piece."""
        gathered, size_bytes = list(events), _bytes_of(events)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHERING_S):
                while size_bytes < self._piece_bytes and len(gathered) < _PIECE_EVENTS:
                    more = await self._inbox.get()
                    if more is None:
                        self._inbox.put_nowait(None)
                        break
                    gathered += more
                    size_bytes += _bytes_of(more)
        return gathered

    def _empty_inbox(self) -> None:
        while not self._inbox.empty():
            self._inbox.get_nowait()


def _bytes_of(events: Sequence[Event]) -> int:
    return sum([len(event.body) for event in events])


def _pieces(events: Sequence[Event], max_bytes: int) -> Iterator[Sequence[Event]]:
    start = size_bytes = 0
    for index, event in enumerate(events, start=1):
        size_bytes += len(event.body)
        if size_bytes >= max_bytes or index == len(events):
            yield events[start:index]
            start, size_bytes = index, 0
