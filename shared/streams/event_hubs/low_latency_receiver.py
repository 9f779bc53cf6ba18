"""A receiver that hands events over within milliseconds of their arrival.

The SDK polls its buffer every 50 ms, and sleeps 50 ms between two reads of its socket [azure-eventhub 5.15.1,
`PyamqpTransportAsync._callback_task` and `_receive_task`]. This delays an event by 25 ms on average, seldom
by 100 ms.

Here the SDK's loop still opens, reads and reopens the link, but the callback waits for an event instead of
sleeping. This relies on private names of the SDK's consumer and its handler, and so on the pinned SDK
version, with which it is tested. It costs processor time: a batch holds the events of 5 ms instead of 50 ms.
"""

import asyncio
from contextlib import suppress
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient

from shared.streams.event_hubs.link_credit import grant_credit, is_credit_low, keep_reading

# The pause between two batches. Without it, a thousand events a second would be a thousand batches, each with
# a fixed cost.
_GATHER_S = 0.005
_END_S = 1.0


def receive_promptly(client: EventHubConsumerClient) -> None:
    """Make every consumer that `client` creates from now on hand over events as they arrive."""
    create: Any = client._create_consumer

    def create_prompt(*arguments: Any, **options: Any) -> Any:
        consumer = create(*arguments, **options)
        prompt = _PromptConsumer(consumer)
        consumer._create_handler, consumer.receive = prompt.open_link, prompt.receive
        return consumer

    client._create_consumer = create_prompt  # type: ignore[method-assign]


class _PromptConsumer:
    """A replacement for two methods of one of the SDK's consumers [`EventHubConsumer`]."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._open_link = consumer._create_handler
        self._has_arrived = asyncio.Event()
        self._max_waiting = 0

    def open_link(self, auth: Any) -> None:
        """Open the link as the SDK does, and make each message wake up the task that hands events over."""
        self._open_link(auth)
        handler = self._consumer._handler
        on_message = handler._message_received_callback

        async def on_message_promptly(message: Any) -> None:
            await on_message(message)
            self._has_arrived.set()
            if is_credit_low(self._consumer):
                await grant_credit(self._consumer)

        handler._message_received_callback = on_message_promptly
        handler.do_work_async = keep_reading(self._consumer, handler.do_work_async, self._max_waiting)

    async def receive(
        self, batch: bool | int = False, max_batch_size: int = 300, max_wait_time: float | None = None
    ) -> None:
        """Hand over events until the link ends or the call is cancelled.

        This replaces `EventHubConsumer.receive`.
        """
        consumer = self._consumer
        self._max_waiting = max_batch_size
        consumer._callback_task_run = True
        tasks = [
            asyncio.create_task(self._hand_over(bool(batch), max_batch_size, max_wait_time)),
            asyncio.create_task(consumer._amqp_transport._receive_task(consumer, max_batch_size)),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            consumer._callback_task_run = False
            self._has_arrived.set()
            await asyncio.wait(tasks, timeout=_END_S)

    async def _hand_over(self, is_batch: bool, max_batch_size: int, max_wait_time: float | None) -> None:
        consumer = self._consumer
        while self._is_receiving():
            if not self._waiting():
                self._has_arrived.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max_wait_time):
                        await self._has_arrived.wait()
                if not self._is_receiving():
                    return
            count = min(max_batch_size if is_batch else 1, self._waiting())
            events: list[EventData] = [consumer._next_message_in_buffer() for _ in range(count)]
            if is_batch or events:
                await consumer._on_event_received(events if is_batch else events[0])
                if is_batch and not self._waiting():
                    await asyncio.sleep(_GATHER_S)
            else:
                await consumer._on_event_received(None)

    def _waiting(self) -> int:
        return len(self._consumer._message_buffer)

    def _is_receiving(self) -> bool:
        return bool(self._consumer._callback_task_run)
