"""The other end of a connection as sessions and links see it: how to send to it, and its limits.

Pure: no I/O except through the transport that is passed in.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from shared.amqp import performative_encoder
from shared.amqp.frames import MIN_MAX_FRAME_BYTES, frame
from shared.amqp.memory_quota import MemoryQuota
from shared.amqp.refusal import Refusal, RefusalTable
from shared.service.log_events import EventLog

log = EventLog(__name__)


class Transport(Protocol):
    """A byte stream to a peer, as provided by asyncio's transports."""

    def write(self, data: bytes, /) -> None: ...

    def is_closing(self) -> bool: ...

    def abort(self) -> None: ...


class Peer:
    """The other end of a connection; frames queued in one turn of the event loop leave in one write.

    `call_soon` runs a callback in the next turn of the loop. `hang_up` closes the transport once everything
    written has left. While `is_writable` is false, nothing more is read from the peer, which bounds what can
    be queued for it.
    """

    def __init__(
        self,
        transport: Transport,
        call_soon: Callable[[Callable[[], None]], object],
        hang_up: Callable[[], None],
        quota: MemoryQuota,
        refusals: RefusalTable,
    ) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing
        self._call_soon = call_soon
        self.hang_up = hang_up
        self.quota = quota
        self.refusals = refusals
        self.max_frame_bytes = MIN_MAX_FRAME_BYTES
        self.is_writable = True
        self._queued: list[bytes] = []

    def send(self, channel: int, body: bytes) -> None:
        """Queue one frame; it is written in the next turn of the event loop at the latest."""
        if not self._queued:
            self._call_soon(self.flush)
        self._queued.append(frame(channel, body))

    def write(self, parts: Sequence[bytes]) -> None:
        """Write encoded frames, after everything that was queued before them."""
        self.flush()
        if not self.is_closing():
            self._transport.write(b"".join(parts))

    def flush(self) -> None:
        if self._queued:
            queued, self._queued = self._queued, []
            if not self.is_closing():
                self._transport.write(b"".join(queued))

    def close(self, refusal: Refusal | None = None) -> None:
        """Send CLOSE and hang up without waiting for the peer's CLOSE.

        pyamqp (5.15.1) does not wait for it either.
        """
        if not self.is_closing():
            if refusal is not None:
                log.info("connection_refused", condition=refusal.condition, reason=refusal.description)
            self.send(0, performative_encoder.close(refusal))
            self.flush()
            self.hang_up()

    def abort(self) -> None:
        """Drop the connection at once; frames still queued are lost."""
        self._queued.clear()
        self._transport.abort()
