"""What goes to one client: all that one turn of the loop queues leaves in one write."""

import asyncio
from collections.abc import Sequence

from shared.amqp.frames import frame


class Outbox:
    """Bounded by its connection, which hears no more from a client that does not read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._queued: list[bytes] = []

    def send(self, channel: int, body: bytes) -> None:
        """Queue one frame; it leaves with all that this turn of the loop queues."""
        if not self._queued:
            self._loop.call_soon(self.flush)
        self._queued.append(frame(channel, body))

    def write(self, parts: Sequence[bytes]) -> None:
        """Write frames that are made already, after everything queued before them."""
        self.flush()
        if not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def flush(self) -> None:
        if self._queued:
            queued, self._queued = self._queued, []
            if not self._transport.is_closing():
                self._transport.write(b"".join(queued))

    def clear(self) -> None:
        self._queued.clear()
