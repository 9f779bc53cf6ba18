"""The socket on which HTTP is served, from its opening until the last requests are drained."""

import logging
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from shared.http.connection import Connection
from shared.http.connection_limiter import MAX_EXTRA, Connections
from shared.http.middleware import MIDDLEWARE
from shared.http.settings import HttpSettings
from shared.http.tls import open_tls
from shared.service.errors import PortInUse, SettingsError

# After a refusal the rest of the request is read this long, so that its sender gets the answer, not a reset.
_LINGERING_S = 2.0
_CLOSE_S = 1.0
# A caller that finds the backlog full tries again after a second.
_BACKLOG = 1_024
# Files, hubs, the lake, the issuer's keys.
_OTHER_DESCRIPTORS = 128


@asynccontextmanager
async def serve_http(settings: HttpSettings, app: web.Application) -> AsyncIterator[int]:
    """Serve `app` and yield the port.

    At the end, accept no more connections and wait up to `settings.drain_s` seconds for the requests in
    progress to be answered. Raises SettingsError if the certificate is unusable or if the process may not
    have enough file descriptors for the connections, and PortInUse if the socket cannot be opened.
    """
    _reserve_descriptors(settings)
    # Compressed request bodies stay as they are: no handler takes them, and aiohttp drops the connection
    # without an answer if one cannot be decompressed.
    options = {
        "access_log": None,
        "logger": _connections_log(),
        "auto_decompress": False,
        "keepalive_timeout": settings.limits.idle_s,
        "lingering_time": _LINGERING_S,
    }
    runner = web.AppRunner(app, shutdown_timeout=_CLOSE_S)
    async with open_tls(settings) as tls:
        with _listen(settings) as listening:
            await runner.setup()
            make = partial(Connection, cast(web.Server, runner.server), settings.limits, options)
            connections = Connections(listening, make, tls, settings.limits)
            try:
                yield int(listening.getsockname()[1])
                # aiohttp's own end drops the bodies that are still arriving.
                connections.stop_accepting()
                await app[MIDDLEWARE].drain(settings.drain_s)
            finally:
                await runner.cleanup()
                await connections.close()


def _reserve_descriptors(settings: HttpSettings) -> None:
    """Raise the process's limit of file descriptors if the connections need more.

    Raises SettingsError if the limit cannot be raised that far.
    """
    connections = settings.limits.connections
    needed = connections + MAX_EXTRA + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{settings.variable('MAX_CONNECTIONS')}: {connections} take {needed} file descriptors, "
            "more than this process may have (ulimit -Hn)"
        ) from error


def _listen(settings: HttpSettings) -> socket.socket:
    """Open the listening socket. Raises PortInUse if it cannot be opened.

    Where TCP_USER_TIMEOUT exists, the kernel ends a connection if its caller acknowledges no sent data for
    `settings.limits.answer_s` seconds.
    """
    try:
        listening = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
            reuse_port=settings.shares_port,
        )
    except OSError as error:
        raise PortInUse(
            f"port {settings.port} on {settings.host} is in use: "
            f"give {settings.variable('HTTP_PORT')} another one"
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        timeout_ms = round(settings.limits.answer_s * 1e3)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    return listening


class _DropProtocolErrors(logging.Filter):
    """A log filter that drops aiohttp's reports of requests that are not valid HTTP.

    Such a request is answered with 400; it is the sender's error, not an error of this service.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _connections_log() -> logging.Logger:
    logger = logging.getLogger("shared.http.connection_limiter")
    if not logger.filters:
        logger.addFilter(_DropProtocolErrors())
    return logger
