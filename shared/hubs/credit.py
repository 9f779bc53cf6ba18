"""A link's credit, granted again before it is spent.

The SDK grants its prefetch anew when all of it is spent, and notices that only when no frame has come for
0.2 s; then it sleeps 50 ms [azure-eventhub 5.15.1, `_client_run_async` and `_receive_task`]: after every
3,000 events a quarter of a second in which nothing comes. By AMQP 1.0 (2.6.7) credit may be set at any time.
"""

from typing import Any


def is_credit_low(consumer: Any) -> bool:
    """Whether a consumer of the SDK [`EventHubConsumer`] has spent half of what it may be sent."""
    left: int = consumer._handler._link.current_link_credit
    prefetch: int = consumer._prefetch
    return 2 * left <= prefetch


async def grant_credit(consumer: Any) -> None:
    """Let the hub send as many events as the prefetch from now on; to be called where frames are read."""
    await consumer._handler._link.flow(link_credit=consumer._prefetch)
