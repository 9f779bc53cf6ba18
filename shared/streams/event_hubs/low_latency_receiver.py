"""Events handed over within milliseconds, instead of at the SDK's next look.

The SDK's receiving looks at its buffer every 50 ms, and sleeps 50 ms between two readings of its socket
[azure-eventhub 5.15.1, `PyamqpTransportAsync._callback_task` and `_receive_task`]: on average 25 ms for each
event, seldom 100. Here its own loop still opens, reads and reopens the link; only what it slept over is
awaited. That relies on names inside the SDK: those below, of a consumer and of its handler, and on a test
with the version that is pinned. It costs processor time: 5 ms' worth of events come at once, not 50.
"""

import asyncio
from contextlib import suppress
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient

from shared.streams.event_hubs.link_credit import grant_credit, is_credit_low, reading_on

# Between two hand-overs: what comes meanwhile goes together, or a thousand events a second would be as many
# batches, each with its own fixed costs.
_GATHER_S = 0.005
_END_S = 1.0


def receive_promptly(client: EventHubConsumerClient) -> None:
    """Have everything that this client receives from now on handed over as it arrives."""
    create: Any = client._create_consumer

    def created(*arguments: Any, **options: Any) -> Any:
        consumer = create(*arguments, **options)
        prompt = _PromptConsumer(consumer)
        consumer._create_handler, consumer.receive = prompt.open_link, prompt.receive
        return consumer

    client._create_consumer = created  # type: ignore[method-assign]


class _PromptConsumer:
    """What takes the place of two methods of one of the SDK's consumers, `EventHubConsumer`."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._open_link = consumer._create_handler
        self._has_arrived = asyncio.Event()
        self._most_waiting = 0

    def open_link(self, auth: Any) -> None:
        """Open the link as the SDK does, and be told of each message."""
        self._open_link(auth)
        handler = self._consumer._handler
        take = handler._message_received_callback

        async def taken(message: Any) -> None:
            await take(message)
            self._has_arrived.set()
            if is_credit_low(self._consumer):
                await grant_credit(self._consumer)

        handler._message_received_callback = taken
        handler.do_work_async = reading_on(self._consumer, handler.do_work_async, self._most_waiting)

    async def receive(
        self, batch: bool | int = False, max_batch_size: int = 300, max_wait_time: float | None = None
    ) -> None:
        """As `EventHubConsumer.receive`: hands over until the link is given up or this is cancelled."""
        consumer = self._consumer
        self._most_waiting = max_batch_size
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
