"""The connection of one caller, with deadlines for sending a request and for receiving an answer."""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from aiohttp import StreamReader, web

from shared.http.deadlines import DrainProgress
from shared.http.limits import ConnectionLimits
from shared.http.problems import Refusal, problem_response
from shared.service.plain_http import PlainHandler, describe_error

# The place of tcpi_bytes_acked in Linux's tcp_info, and how much of tcp_info must be read for it.
_ACKNOWLEDGED, _INFO_BYTES = 120, 128
_INT = struct.Struct("i")
_COUNT = struct.Struct("Q")
# SO_LINGER on, 0 s: close() drops the bytes that wait to be sent, instead of sending them afterwards.
_RESETTING = struct.pack("ii", 1, 0)


class Connection(PlainHandler):
    """An aiohttp connection with two deadlines.

    A request must arrive in time, head and body, and an answer must be received in time. An extra connection,
    which is one above the limit, answers probes only.
    """

    __slots__ = ("_body", "_drain", "_is_upgraded", "_limits", "_since_s", "_wire", "ended", "is_extra")

    def __init__(
        self, server: web.Server, limits: ConnectionLimits, options: Mapping[str, Any], *, is_extra: bool
    ) -> None:
        """Make the connection; `options` are passed on to aiohttp's RequestHandler."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self.is_extra = is_extra
        self.ended = asyncio.Event()
        self._limits = limits
        self._wire: asyncio.Transport | None = None
        self._since_s: float | None = None  # since when a request has been arriving
        self._body: StreamReader | None = None  # of the request that is served
        self._drain = DrainProgress()
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # aiohttp forgets the transport when it closes it, which may be long before all is sent.
        self._wire = cast(asyncio.Transport, transport)
        self._since_s = self._loop.time()  # a new connection has as long to begin as a request to arrive
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire = None
        super().connection_lost(exc)
        self.ended.set()

    def set_parser(self, *args: Any, **options: Any) -> None:
        """Hand the connection over to a WebSocket (aiohttp 3.14).

        From then on no further request is expected, so the deadline for requests no longer applies.
        """
        self._is_upgraded = True
        super().set_parser(*args, **options)

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

    def start_request(self, body: StreamReader) -> None:
        """Note that a request's head has been read and its handler starts.

        The request's body may still be arriving.
        """
        self._body = body
        if body.is_eof():
            self._since_s = None
        elif self._since_s is None:  # it came in one piece with the end of the request before
            self._since_s = self._loop.time()

    def make_error(self, status: int) -> web.StreamResponse:
        """Return the problem document for a status (RFC 9457)."""
        kind = "internal" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "malformed-request"
        return problem_response(Refusal(HTTPStatus(status), kind, describe_error(status)))

    @property
    def request_timeout_s(self) -> float:
        return self._limits.request_s

    @property
    def body_due_s(self) -> float:
        """The time, in seconds on the event loop's clock, by which the body must have arrived."""
        since_s = self._loop.time() if self._since_s is None else self._since_s
        return since_s + self._limits.request_s

    def find_overdue(self, now_s: float) -> str:
        """Return "answer" or "request" if one of these is overdue, else "".

        The deadline of a body that a handler reads is not checked here: `body_due_s` gives it to whoever
        reads the body.
        """
        if self._wire is None:
            return ""
        is_between_bodies = self._body is None or self._body.is_eof()
        if self._waiting_bytes(self._wire):
            if self._since_s is not None and is_between_bodies:
                self._since_s = now_s  # a request that arrives meanwhile may have to wait for the answer
            return "answer" if self._is_answer_late(self._wire, now_s) else ""
        if self._since_s is None or self._is_upgraded or not is_between_bodies:
            return ""
        return "request" if now_s - self._since_s >= self._limits.request_s else ""

    def end(self) -> None:
        """Close the connection. The kernel still sends the part of an answer that it already holds."""
        if self._wire is not None:
            self._wire.abort()

    def cut_off(self) -> None:
        """Reset the connection and drop the bytes that wait to be sent."""
        if self._wire is not None:
            with suppress(OSError):  # closed, but connection_lost was not called yet
                self._wire.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING
                )
            self.end()

    def _is_answer_late(self, wire: asyncio.Transport, now_s: float) -> bool:
        """Return True if an answer is overdue.

        Only Linux reports how many bytes the caller received; elsewhere no answer is ever overdue.
        """
        if not hasattr(socket, "TCP_INFO"):
            return False
        info = wire.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        (received,) = _COUNT.unpack_from(info, _ACKNOWLEDGED)
        # In this order: bytes acknowledged between the two calls must not count twice.
        return self._drain.is_late(received, self._waiting_bytes(wire), now_s, self._limits.answer_s)

    @staticmethod
    def _waiting_bytes(wire: asyncio.Transport) -> int:
        """Return the number of bytes of answers, in the transport and in the kernel, not yet received."""
        descriptor = wire.get_extra_info("socket").fileno()
        if descriptor < 0:  # closed, but connection_lost was not called yet
            return 0
        (queued,) = _INT.unpack(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size)))
        return int(queued) + wire.get_write_buffer_size()


def connection_of(request: web.BaseRequest) -> Connection:
    """Return the connection of `request`, which must be served by the listener of this package."""
    connection: Connection = request.protocol  # type: ignore[assignment]
    return connection
