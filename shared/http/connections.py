"""All connections: how many may be open, and who is cut off.

Beyond the number that is allowed a connection is an extra one: probes are answered there, all others get
503, and it ends with its answer. There are only so many, and a new one takes the place of the oldest: whoever
opens connections without end, or opens them and says nothing, cannot keep a probe out.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import partial
from typing import Protocol

from prometheus_client import Gauge

from shared.http.connection import Connection
from shared.http.deadlines import Limits
from shared.http.fast_metrics import Counts
from shared.service.logs import log
from shared.service.tasks import cancel_until_done

OPEN = Gauge("fleetprice_http_connections", "Connections open, TLS handshakes included")
CUT_OFF = Counts(
    "fleetprice_http_connections_cut_off",
    "Connections ended for a request or handshake that did not arrive or an answer not taken in time, "
    "and extra ones for a newer one",
    ("overdue",),
)
# Several times as many as are accepted at once: whoever asks as it connects is answered before it gives way.
EXTRA = 256
_ACCEPTED_AT_ONCE = 64
_PAUSE_S = 0.1

Held = dict[asyncio.Task[None], Connection]


class Make(Protocol):
    """A connection that is about to be made."""

    def __call__(self, *, is_extra: bool) -> Connection: ...


class Connections:
    """Accepts, counts from then on, and looks at each now and then."""

    def __init__(
        self, listening: socket.socket, make: Make, tls: ssl.SSLContext | None, limits: Limits
    ) -> None:
        self._listening = listening
        self._make = make
        self._tls = tls
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._open: Held = {}
        self._extra: Held = {}  # the oldest first
        self._resuming: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._resume()
        self._watching = asyncio.create_task(self._watch())

    def accept_no_more(self) -> None:
        """Those that are open go on."""
        if self._listening.fileno() < 0:
            return
        if self._resuming is not None:
            self._resuming.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def end(self) -> None:
        """Nothing is accepted, and nobody is left."""
        self.accept_no_more()
        await cancel_until_done(self._watching)
        for task in [*self._open, *self._extra]:
            await cancel_until_done(task)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _address = self._listening.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it has hung up already
            except OSError as error:  # the process or the machine has no room for another
                log.warning("connection_not_accepted", reason=str(error))
                self._loop.remove_reader(self._listening)
                self._resuming = self._loop.call_later(_PAUSE_S, self._resume)
                return
            accepted.setblocking(False)
            self._hold(accepted)

    def _resume(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _hold(self, accepted: socket.socket) -> None:
        is_extra = len(self._open) >= self._limits.connections
        held = self._extra if is_extra else self._open
        if is_extra and len(held) >= EXTRA:
            oldest = next(iter(held))
            del held[oldest]
            oldest.cancel()
            CUT_OFF.add(("extra",))
        connection = self._make(is_extra=is_extra)
        task = self._loop.create_task(self._serve(accepted, connection))
        held[task] = connection
        OPEN.inc()
        task.add_done_callback(partial(self._let_go, held, accepted))

    @staticmethod
    def _let_go(held: Held, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        held.pop(task, None)
        OPEN.dec()
        accepted.close()  # where it came to no transport; one of a transport's is the transport's to close

    async def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        """From its handshake to its end."""
        timeout_s = None if self._tls is None else self._limits.request_s
        try:
            with suppress(OSError):  # no TLS, or not in time: there is nobody to be told
                await self._loop.connect_accepted_socket(
                    lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=timeout_s
                )
                await connection.ended.wait()
        finally:
            connection.end()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._limits.look_s)
            now_s = self._loop.time()
            for connection in [*self._open.values(), *self._extra.values()]:
                if overdue := connection.overdue(now_s):
                    CUT_OFF.add((overdue,))
                    connection.cut_off()
