"""All connections of a listener: how many may be open, and which are cut off.

A connection above the limit is an "extra" connection: it gets answers to probes and 503 to anything else, and
it is closed after its answer. The number of extra connections is limited too; a new one replaces the oldest.
So callers that open connections without end, or open them and send nothing, cannot keep a probe out.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Protocol

from prometheus_client import Gauge

from shared.http.connection import Connection
from shared.http.limits import ConnectionLimits
from shared.http.metrics import Counts
from shared.service.logs import log
from shared.service.tasks import cancel_until_done

OPEN = Gauge("fleetprice_http_connections", "Connections open, TLS handshakes included")
CUT_OFF = Counts(
    "fleetprice_http_cut_off_connections_total",
    "Connections ended for a request or handshake that did not arrive or an answer not taken in time, "
    "and extra ones for a newer one",
    ("overdue",),
)
# Several times as many as are accepted together, so that a probe is answered before newer ones replace it.
MAX_EXTRA = 256
_ACCEPTED_TOGETHER = 64
_PAUSE_S = 0.1

Open = dict[asyncio.Task[None], Connection]


class ConnectionFactory(Protocol):
    """A function that makes a connection object for an accepted socket."""

    def __call__(self, *, is_extra: bool) -> Connection: ...


class Connections:
    """The acceptor of connections: it counts those that are open and checks their deadlines regularly."""

    def __init__(
        self,
        listening: socket.socket,
        make: ConnectionFactory,
        tls: ssl.SSLContext | None,
        limits: ConnectionLimits,
    ) -> None:
        self._listening = listening
        self._make = make
        self._tls = tls
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._open: Open = {}
        self._extra: Open = {}  # the oldest first
        self._resuming: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._resume()
        self._checking = asyncio.create_task(self._check_forever())

    def stop_accepting(self) -> None:
        """Close the listening socket; connections that are open stay open."""
        if self._listening.fileno() < 0:
            return
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def close(self) -> None:
        """Stop accepting and end every connection."""
        self.stop_accepting()
        await cancel_until_done(self._checking)
        for task in [*self._open, *self._extra]:
            await cancel_until_done(task)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_TOGETHER):
            try:
                accepted, _address = self._listening.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # the caller has hung up already
            except OSError as error:  # the process or the machine has no descriptor left
                log.warning("connection_not_accepted", reason=str(error))
                self._loop.remove_reader(self._listening)
                self._resuming = self._loop.call_later(_PAUSE_S, self._resume)
                return
            accepted.setblocking(False)
            self._add(accepted)

    def _resume(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _add(self, accepted: socket.socket) -> None:
        is_extra = len(self._open) >= self._limits.connections
        group = self._extra if is_extra else self._open
        if is_extra and len(group) >= MAX_EXTRA:
            oldest = next(iter(group))
            del group[oldest]
            oldest.cancel()
            CUT_OFF.add(("extra",))
        connection = self._make(is_extra=is_extra)
        task = self._loop.create_task(self._serve(accepted, connection))
        group[task] = connection
        OPEN.inc()
        task.add_done_callback(partial(self._remove, group, accepted))

    @staticmethod
    def _remove(group: Open, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        group.pop(task, None)
        OPEN.dec()
        accepted.close()  # if no transport was made; otherwise it is the transport's to close

    async def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        """Serve a connection from its TLS handshake, if any, until it ends."""
        timeout_s = None if self._tls is None else self._limits.request_s
        try:
            with suppress(OSError):  # no TLS, or not in time: there is no caller to answer
                await self._loop.connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=timeout_s
                )
                await connection.ended.wait()
        finally:
            connection.end()

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.check_interval_s)
            now_s = self._loop.time()
            for connection in [*self._open.values(), *self._extra.values()]:
                if overdue := connection.find_overdue(now_s):
                    CUT_OFF.add((overdue,))
                    connection.cut_off()
