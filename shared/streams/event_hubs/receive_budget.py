"""A bound in bytes on what one of the SDK's links keeps in memory.

Its own bound, the prefetch, counts events, and an event may be of 300 bytes or of a million. So the callback
that the SDK awaits for each message waits for room: then the link's socket is not read, and the rest stays in
the hub.
"""

import asyncio
from collections import deque
from typing import Any

from shared.streams.event import Event, event_of
from shared.streams.event_hubs.link_credit import grant_credit, is_credit_low, reading_on

# What is no data section is not looked into: it is taken for the largest event that there is.
_UNKNOWN_BYTES = 2**20


class ByteBudget:
    """Bytes of a link's events that were received and not yet handed over; one event always fits."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._held_bytes = 0
        self._sizes: deque[int] = deque()
        self._changed = asyncio.Event()
        self._is_closed = False

    def try_acquire(self, size_bytes: int) -> bool:
        """Whether there is room for an event of this size; then it has taken it."""
        held_bytes = self._held_bytes
        if held_bytes and held_bytes + size_bytes > self._size_bytes and not self._is_closed:
            return False
        self._held_bytes = held_bytes + size_bytes
        self._sizes.append(size_bytes)
        return True

    async def take(self, size_bytes: int) -> None:
        """Returns once there was room for an event of this size, which it then has taken."""
        while not self.try_acquire(size_bytes):
            self._changed.clear()
            await self._changed.wait()

    def give_back(self, events: int) -> None:
        """So many events, the oldest, take no room any more."""
        for _ in range(events):
            self._held_bytes -= self._sizes.popleft()
        self._changed.set()

    def close(self) -> None:
        """Nobody gives back any more, so nobody waits."""
        self._is_closed = True
        self._changed.set()


def bound(consumer: Any, room: ByteBudget) -> None:
    """Have a consumer of the SDK keep within `room`, and hand over `Event`s in the stead of its EventData.

    It relies on names inside the SDK [azure-eventhub 5.15.1, `EventHubConsumer`]: those below.
    """
    open_link, hand_over, close = consumer._create_handler, consumer._on_event_received, consumer.close
    buffer = consumer._message_buffer

    async def received(message: Any) -> None:
        size_bytes = sum(map(len, message.data)) if message.data else _UNKNOWN_BYTES
        if not room.try_acquire(size_bytes):  # as a rule it does: no coroutine for each event
            await room.take(size_bytes)
        buffer.append(message)  # the SDK's lock is not needed: nobody awaits while taking from it
        if is_credit_low(consumer):
            await grant_credit(consumer)

    def opened(auth: Any) -> None:
        open_link(auth)
        handler = consumer._handler
        handler._message_received_callback = received
        handler.do_work_async = reading_on(consumer, handler.do_work_async, consumer._prefetch // 2)

    def next_event() -> Event:
        event = event_of(buffer.popleft())
        consumer._last_received_event = event  # after whose offset the SDK opens the link anew
        return event

    async def handed_over(events: list[Event]) -> None:
        await hand_over(events)
        room.give_back(len(events))

    async def closed() -> None:
        room.close()
        await close()

    consumer._create_handler, consumer._on_event_received = opened, handed_over
    consumer._next_message_in_buffer, consumer.close = next_event, closed
