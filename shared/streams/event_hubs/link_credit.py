"""A link that is read without pauses, as long as what came is handed over.

The SDK grants its prefetch anew when all of it is spent, and notices that only when no frame has come for
0.2 s; and after as many frames as the prefetch it sleeps 50 ms [azure-eventhub 5.15.1, `_client_run_async`
and `_receive_task`]: with all links of a process in step, a quarter of its time. By AMQP 1.0 (2.6.7) credit
may be set at any time, and nothing hinders reading on.
"""

from collections.abc import Awaitable, Callable
from typing import Any

Work = Callable[..., Awaitable[bool]]


def is_credit_low(consumer: Any) -> bool:
    """Whether a consumer of the SDK [`EventHubConsumer`] has spent half of what it may be sent."""
    left: int = consumer._handler._link.current_link_credit
    prefetch: int = consumer._prefetch
    return 2 * left <= prefetch


async def grant_credit(consumer: Any) -> None:
    """Let the hub send as many events as the prefetch from now on; to be called where frames are read."""
    await consumer._handler._link.flow(link_credit=consumer._prefetch)


def reading_on(consumer: Any, work: Work, max_waiting: int) -> Work:
    """The `do_work_async` of a consumer's handler, repeated until the link is over or too much waits."""

    async def worked(**options: Any) -> bool:
        while await work(**options):
            if not consumer._callback_task_run or len(consumer._message_buffer) > max_waiting:
                return True
        return False

    return worked
