"""Additional ports of an Event Hubs server: AMQP over TLS, and AMQP over websockets."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.listener import BACKLOG, SHUTDOWN_S, Listener
from services.emulator.websocket.transport import WebSocket
from shared.service.addresses import is_loopback
from shared.service.errors import PortInUse


class TlsEndpoint:
    """The TLS port of a server.

    It is an async context manager that must be entered after the server and left before the server.
    """

    def __init__(self, event_hubs: EventHubsServer, tls: ssl.SSLContext, *, port: int = 0) -> None:
        self._event_hubs = event_hubs
        self._tls = tls
        self._listening: asyncio.Server
        self.port = port

    async def __aenter__(self) -> Self:
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._event_hubs.accept,
                self._event_hubs.host,
                self.port,
                backlog=BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=self._event_hubs.patience_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError as exc:
            raise _port_in_use("TLS", self._event_hubs.host, self.port, exc) from exc
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.close()

    @property
    def connection_string(self) -> str:
        """The connection string for TLS.

        The Python SDK (5.15.1) ignores any port in it other than 5671; pass custom_endpoint_address.
        """
        return self._event_hubs.connection_string_at(self.port)


class WebSocketEndpoint:
    """The websocket port of a server.

    It is an async context manager that must be entered after the server and left before the server. If a
    `tls` context is given, the same port also accepts wss.
    """

    def __init__(
        self,
        event_hubs: EventHubsServer,
        tls: ssl.SSLContext | None = None,
        *,
        port: int = 0,
    ) -> None:
        self._event_hubs = event_hubs
        self._listener = Listener(self._accept, tls, patience_s=event_hubs.patience_s)
        self.port = port

    async def __aenter__(self) -> Self:
        try:
            await self._listener.open(self._event_hubs.host, self.port)
        except OSError as exc:
            raise _port_in_use("websockets", self._event_hubs.host, self.port, exc) from exc
        self.port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._listener.close()

    @property
    def connection_string(self) -> str:
        """The connection string for ws; remove UseDevelopmentEmulator=true from it to use wss.

        The SDKs ignore the port in the string for websockets; pass custom_endpoint_address.
        """
        return f"{self._event_hubs.connection_string_at(self.port)}UseDevelopmentEmulator=true;"

    def _accept(self) -> WebSocket:
        return WebSocket(
            self._event_hubs.accept,
            loopback_origins_only=is_loopback(self._event_hubs.host),
            patience_s=self._event_hubs.patience_s,
        )


def _port_in_use(transport: str, host: str, port: int, exc: OSError) -> PortInUse:
    return PortInUse(f"Event Hubs ({transport}) cannot listen on {host}:{port}: {exc.strerror}")
