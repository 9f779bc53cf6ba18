"""How much memory one client may keep busy: a little until it has proved who it is, and then enough."""

from collections.abc import Callable

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.refusals import Refusal

KNOWN_BYTES = 16 * 1024 * 1024
STRANGER_BYTES = 256 * 1024
# What our own objects take, roughly; names and addresses of the client's choice come on top.
SESSION_BYTES = 1024
LINK_BYTES = 2048


class MemoryQuota:
    def __init__(self, is_known: Callable[[], bool]) -> None:
        self._is_known = is_known
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Count it until it is let go of. Raises Refusal above the most that the client may."""
        self.held_bytes += size_bytes
        limit = KNOWN_BYTES if self._is_known() else STRANGER_BYTES
        if self.held_bytes > limit:
            raise Refusal(
                refusals.RESOURCE_LIMIT,
                f"The connection's sessions, links and unfinished messages take more than {limit} bytes.",
            )

    def let_go(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
