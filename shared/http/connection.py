"""One caller's connection: what it has sent, what it has taken, and by when it must have."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from aiohttp import StreamReader, web

from shared.http.deadlines import DrainProgress, Limits

# Where Linux's tcp_info has the bytes that the other side has acknowledged, and how much of it that takes.
_ACKNOWLEDGED, _INFO_BYTES = 120, 128
_INT = struct.Struct("i")
_COUNT = struct.Struct("Q")
# close() then drops what waits to be sent, instead of sending on without us.
_RESETTING = struct.pack("ii", 1, 0)


class Connection(web.RequestHandler):
    """aiohttp's, with a clock: a request has so long to arrive, head and body, an answer so long to be taken.

    An extra connection, one more than there may be, is there for probes alone.
    """

    __slots__ = ("_body", "_limits", "_since_s", "_taken", "_wire", "ended", "is_extra")

    def __init__(
        self, server: web.Server, limits: Limits, options: Mapping[str, Any], *, is_extra: bool
    ) -> None:
        """`options` are aiohttp's."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self.is_extra = is_extra
        self.ended = asyncio.Event()
        self._limits = limits
        self._wire: asyncio.Transport | None = None
        self._since_s: float | None = None  # since when a request has been arriving
        self._body: StreamReader | None = None  # of the request that is served
        self._taken = DrainProgress()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # aiohttp forgets the transport when it closes it, which may be long before all is sent.
        self._wire = cast(asyncio.Transport, transport)
        self._since_s = self._loop.time()  # who connects has something to ask
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        super().connection_lost(exc)
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        body = self._body
        if body is None or body.is_eof():
            if data and self._since_s is None:
                self._since_s = self._loop.time()
            super().data_received(data)
        else:
            super().data_received(data)
            if body.is_eof():
                self._since_s = None

    def head_read(self, body: StreamReader) -> None:
        """A request begins to be served; its body may still be arriving."""
        self._body = body
        if body.is_eof():
            self._since_s = None
        elif self._since_s is None:  # it came in one piece with the end of the request before
            self._since_s = self._loop.time()

    @property
    def request_timeout_s(self) -> float:
        return self._limits.request_s

    @property
    def body_due_s(self) -> float:
        """By when, on the loop's clock, the body must have arrived."""
        since_s = self._loop.time() if self._since_s is None else self._since_s
        return since_s + self._limits.request_s

    def overdue(self, now_s: float) -> str:
        """What is: `answer`, `request` or nothing. A body is waited for by who reads it."""
        if self._wire is None:
            return ""
        is_between_bodies = self._body is None or self._body.is_eof()
        if self._waiting_bytes(self._wire):
            if self._since_s is not None and is_between_bodies:
                self._since_s = now_s  # what is asked meanwhile may stand behind the answer
            return "answer" if self._is_answer_late(self._wire, now_s) else ""
        if self._since_s is None or not is_between_bodies:
            return ""
        return "request" if now_s - self._since_s >= self._limits.request_s else ""

    def end(self) -> None:
        """What the kernel has of an answer is still sent."""
        if self._wire is not None:
            self._wire.abort()

    def cut_off(self) -> None:
        """End it, and drop what waits to be sent."""
        if self._wire is not None:
            with suppress(OSError):  # closed, but not told so yet
                self._wire.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING
                )
            self.end()

    def _is_answer_late(self, wire: asyncio.Transport, now_s: float) -> bool:
        """Only Linux tells how much was taken."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        info = wire.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        (taken,) = _COUNT.unpack_from(info, _ACKNOWLEDGED)
        # In this order: what is acknowledged between the two looks must not count twice.
        return self._taken.is_late(taken, self._waiting_bytes(wire), now_s, self._limits.answer_s)

    @staticmethod
    def _waiting_bytes(wire: asyncio.Transport) -> int:
        """What was answered and not yet taken, here and in the kernel."""
        descriptor = wire.get_extra_info("socket").fileno()
        if descriptor < 0:  # closed, but not told so yet
            return 0
        (queued,) = _INT.unpack(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size)))
        return int(queued) + wire.get_write_buffer_size()


def connection_of(request: web.BaseRequest) -> Connection:
    """Whose protocol is never another: see the listener."""
    connection: Connection = request.protocol  # type: ignore[assignment]
    return connection
