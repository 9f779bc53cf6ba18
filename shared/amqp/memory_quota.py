"""The memory that one peer may occupy: little until it is authenticated, then more. Pure: no I/O."""

from collections.abc import Callable

from shared.amqp.refusal import RESOURCE_LIMIT, Refusal

AUTHENTICATED_BYTES = 16 * 1024 * 1024
UNAUTHENTICATED_BYTES = 256 * 1024
# Roughly what our own objects take; names and addresses chosen by the peer are added.
SESSION_BYTES = 1024
LINK_BYTES = 2048


class MemoryQuota:
    """A count of the bytes held for one peer."""

    def __init__(self, is_authenticated: Callable[[], bool]) -> None:
        self._is_authenticated = is_authenticated
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Count `size_bytes` until they are released. Raises Refusal if the total exceeds the limit."""
        self.held_bytes += size_bytes
        limit = AUTHENTICATED_BYTES if self._is_authenticated() else UNAUTHENTICATED_BYTES
        if self.held_bytes > limit:
            raise Refusal(
                RESOURCE_LIMIT,
                f"The connection's sessions, links and unfinished messages take more than {limit} bytes.",
            )

    def release(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
