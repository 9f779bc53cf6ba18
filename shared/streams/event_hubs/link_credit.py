"""Reading of a link without pauses while its events are handed over.

The SDK renews a link's credit only when all of it is spent, and notices that only when no frame has come for
0.2 s. After as many frames as the prefetch, the SDK sleeps 50 ms [azure-eventhub 5.15.1, `_client_run_async`
and `_receive_task`]. If this happens to all links of a process at once, the pauses take a quarter of the
process's time. Credit may be set at any time [AMQP 1.0, 2.6.7], so the pauses are avoidable.
"""

from collections.abc import Awaitable, Callable
from typing import Any

Work = Callable[..., Awaitable[bool]]


def is_credit_low(consumer: Any) -> bool:
    """Return whether one of the SDK's consumers [`EventHubConsumer`] has spent half of its credit."""
    left: int = consumer._handler._link.current_link_credit
    prefetch: int = consumer._prefetch
    return 2 * left <= prefetch


async def grant_credit(consumer: Any) -> None:
    """Set the link's credit to the prefetch again; call this from the task that reads frames."""
    await consumer._handler._link.flow(link_credit=consumer._prefetch)


def keep_reading(consumer: Any, work: Work, max_waiting: int) -> Work:
    """Return a replacement for a handler's `do_work_async` that repeats `work`.

    It stops when the link ends, when receiving ends, or when more than `max_waiting` events are buffered.
    """

    async def work_repeatedly(**options: Any) -> bool:
        while await work(**options):
            if not consumer._callback_task_run or len(consumer._message_buffer) > max_waiting:
                return True
        return False

    return work_repeatedly
