"""A listener that serves clients with and without TLS on one port, told apart by a connection's first byte.

A TLS handshake begins with 0x16, HTTP never does. The listener only peeks at the byte, so after the
handover a connection costs no more than on a separate port.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

from shared.service.log_events import EventLog

log = EventLog(__name__)

PATIENCE_S = 30.0
SHUTDOWN_S = 5.0
_TLS_HANDSHAKE = b"\x16"
BACKLOG = 1024
_RETRY_S = 1.0


class Listener:
    """A listener that hands each connection to a new protocol object.

    A connection on which no byte arrives within `patience_s` is closed.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None = None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._protocol = protocol
        self._tls = tls
        self._patience_s = patience_s
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._unheard: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._sockets[0].getsockname()[1]
        return port

    @property
    def unheard(self) -> int:
        """Number of connections whose first byte has not arrived yet."""
        return len(self._unheard)

    async def open(self, host: str, port: int) -> None:
        """Listen on every address of `host`. Raises OSError if an address or the port cannot be used."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(addresses):
                self._sockets.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
        except OSError:
            self._close_sockets()
            raise
        for listening in self._sockets:
            listening.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept_connections(listening)))

    async def close(self) -> None:
        """Stop accepting connections. Connections that were handed over stay open."""
        tasks = [*self._accepting, *self._unheard]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._close_sockets()

    def _close_sockets(self) -> None:
        for listening in self._sockets:
            listening.close()

    async def _accept_connections(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                # Out of file descriptors: others will be closed.
                log.warning("connection_not_accepted", reason=exc.strerror)
                await asyncio.sleep(_RETRY_S)
                continue
            task = asyncio.create_task(self._hand_over(accepted))
            self._unheard.add(task)
            task.add_done_callback(self._unheard.discard)

    async def _hand_over(self, accepted: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                first = await _peek_first_byte(accepted)
        except (OSError, TimeoutError, asyncio.CancelledError) as exc:
            accepted.close()
            if isinstance(exc, asyncio.CancelledError):
                raise
            return
        is_tls = first == _TLS_HANDSHAKE
        if not first or (is_tls and self._tls is None):
            accepted.close()
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._protocol,
                accepted,
                ssl=self._tls if is_tls else None,
                ssl_handshake_timeout=self._patience_s if is_tls else None,
                ssl_shutdown_timeout=SHUTDOWN_S if is_tls else None,
            )
        except OSError as exc:
            log.debug("handshake_failed", reason=str(exc))


async def _peek_first_byte(accepted: socket.socket) -> bytes:
    while True:
        try:
            return accepted.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            await _wait_readable(accepted)


async def _wait_readable(accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(accepted, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(accepted)
