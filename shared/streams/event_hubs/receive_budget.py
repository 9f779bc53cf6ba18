"""A bound on the bytes that one of the SDK's links keeps in memory.

The SDK's own bound, the prefetch, counts events, and an event may have 300 bytes or a million. So the
callback that the SDK awaits for each message waits until there is room. Meanwhile the link's socket is not
read, and further events stay in the hub.
"""

import asyncio
from collections import deque
from typing import Any

from shared.streams.event import Event, decode_event
from shared.streams.event_hubs.link_credit import grant_credit, is_credit_low, keep_reading

# The assumed size of a message without data sections: the maximum of an event.
_UNKNOWN_BYTES = 2**20


class ByteBudget:
    """A bound on the bytes of a link's events that are not handed over yet.

    A single event always fits, whatever its size.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._held_bytes = 0
        self._sizes: deque[int] = deque()
        self._changed = asyncio.Event()
        self._is_closed = False

    def try_acquire(self, size_bytes: int) -> bool:
        """Acquire `size_bytes` for an event if there is room. Return whether there was."""
        held_bytes = self._held_bytes
        if held_bytes and held_bytes + size_bytes > self._size_bytes and not self._is_closed:
            return False
        self._held_bytes = held_bytes + size_bytes
        self._sizes.append(size_bytes)
        return True

    async def acquire(self, size_bytes: int) -> None:
        """Wait until there is room for an event of this size, and acquire it."""
        while not self.try_acquire(size_bytes):
            self._changed.clear()
            await self._changed.wait()

    def release(self, events: int) -> None:
        """Release the bytes of the oldest events; `events` is their number."""
        for _ in range(events):
            self._held_bytes -= self._sizes.popleft()
        self._changed.set()

    def close(self) -> None:
        """Admit every event from now on, because no bytes will be released any more."""
        self._is_closed = True
        self._changed.set()


def limit_bytes(consumer: Any, budget: ByteBudget) -> None:
    """Keep one of the SDK's consumers within `budget`, and make it hand over `Event`s instead of EventData.

    This relies on private names of the SDK [azure-eventhub 5.15.1, `EventHubConsumer`].
    """
    open_link, hand_over, close = consumer._create_handler, consumer._on_event_received, consumer.close
    buffer = consumer._message_buffer

    async def receive(message: Any) -> None:
        size_bytes = sum(map(len, message.data)) if message.data else _UNKNOWN_BYTES
        if not budget.try_acquire(size_bytes):  # usually there is room, and no coroutine is made
            await budget.acquire(size_bytes)
        buffer.append(message)  # needs no lock of the SDK: its reader awaits nothing between look and pop
        if is_credit_low(consumer):
            await grant_credit(consumer)

    def open_link_within_budget(auth: Any) -> None:
        open_link(auth)
        handler = consumer._handler
        handler._message_received_callback = receive
        handler.do_work_async = keep_reading(consumer, handler.do_work_async, consumer._prefetch // 2)

    def next_event() -> Event:
        event = decode_event(buffer.popleft())
        consumer._last_received_event = event  # the SDK reopens the link after its offset
        return event

    async def hand_over_and_release(events: list[Event]) -> None:
        await hand_over(events)
        budget.release(len(events))

    async def close_budget() -> None:
        budget.close()
        await close()

    consumer._create_handler, consumer._on_event_received = open_link_within_budget, hand_over_and_release
    consumer._next_message_in_buffer, consumer.close = next_event, close_budget
