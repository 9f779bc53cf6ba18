"""An AMQP connection over an asyncio transport, with its timers and its back-pressure."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from shared.amqp.application import Application
from shared.amqp.connection import Connection
from shared.amqp.frames import EMPTY_FRAME
from shared.amqp.heartbeat import Heartbeat

HANDSHAKE_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
WRITE_BUFFER_BYTES = 1024 * 1024


class AmqpProtocol(asyncio.Protocol):
    """The accepting side of one connection; it holds at most a few buffers of memory.

    `on_connected` is called once there is a transport, and `on_lost` once the transport is gone. A peer is
    dropped if it has not opened the connection after `patience_s`, or if it is idle for `idle_s`.
    """

    connection: Connection
    transport: asyncio.Transport

    def __init__(
        self,
        application: Application,
        *,
        idle_s: float,
        patience_s: float = HANDSHAKE_TIMEOUT_S,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._application = application
        self._patience_s = patience_s
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(
            self._loop, idle_s, lambda: self.connection.is_in_use, lambda: self.connection.close_idle(idle_s)
        )
        self._is_open = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are transports without being declared as such.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        # A peer that vanished is noticed by the kernel, not by its silence: the Python SDK (5.15.1) sends no
        # heartbeats between calls.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.connection = Connection(self._application, self.transport, self._loop.call_soon, self._hang_up)
        self._timer = self._loop.call_later(self._patience_s, self.connection.peer.abort)
        self._on_connected()

    def data_received(self, data: bytes) -> None:
        self._heartbeat.note_received()
        self.connection.receive(data)
        if self.connection.is_open and not self._is_open:
            self._is_open = True
            self._start_heartbeat()

    def _start_heartbeat(self) -> None:
        if self.transport.is_closing():
            return
        if self._timer is not None:
            self._timer.cancel()
        self._heartbeat.watch()
        if idle_timeout_s := self.connection.peer_idle_timeout_s:
            self._heartbeat.send_every(idle_timeout_s / 2, self._send_heartbeat)

    def _send_heartbeat(self) -> None:
        if self.connection.peer.is_writable:
            self.connection.peer.write([EMPTY_FRAME])

    def pause_writing(self) -> None:
        # Nothing more is read from a peer that does not read: the answers would pile up here.
        self.connection.peer.is_writable = False
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.connection.peer.is_writable = True
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self.connection.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # peers may vanish
        if self._timer is not None:
            self._timer.cancel()
        self._heartbeat.stop()
        self._on_lost()
        self.connection.end()

    def _hang_up(self) -> None:
        """Close the transport once everything written has left.

        If the peer does not read, the transport is aborted after CLOSE_TIMEOUT_S.
        """
        self.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
