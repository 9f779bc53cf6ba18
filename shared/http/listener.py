"""The socket that HTTP is served on: TLS where there is a certificate, and nobody may hold it for nothing."""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from services.scorer.settings import ScorerSettings
from shared.http.connection import Connection
from shared.http.connections import EXTRA, Connections
from shared.http.deadlines import Limits
from shared.http.middleware import ENTRANCE
from shared.http.watched_files import apply_changes
from shared.service.errors import PortInUse, SettingsError

_VARIABLES = "FLEETPRICE_SCORER_TLS_CERTIFICATE, FLEETPRICE_SCORER_TLS_KEY"
# What a refused request still sends is read this long, so that its sender sees the answer, not a reset.
_LINGERING_S = 2.0
_CLOSE_S = 1.0
# Who finds no place among those not accepted yet tries again after a second.
_BACKLOG = 1_024
# Files, hubs, the lake, the issuer's keys.
_OTHER_DESCRIPTORS = 128


@asynccontextmanager
async def serve_http(settings: ScorerSettings, app: web.Application) -> AsyncIterator[int]:
    """Serve `app`; yields the port. At the end no more is accepted and what is in progress is answered.

    Raises SettingsError for an unusable certificate or too many connections, PortInUse.
    """
    limits = Limits(settings.request_timeout_s, settings.answer_timeout_s, settings.max_connections)
    _refuse_unless_room(limits.connections)
    # Compressed request bodies stay as they are: no handler takes them, and aiohttp drops the connection
    # without an answer where one cannot be decompressed.
    options = {
        "access_log": None,
        "logger": _connections_log(),
        "auto_decompress": False,
        "keepalive_timeout": settings.idle_timeout_s,  # counts from the connection's start too
        "lingering_time": _LINGERING_S,
    }
    runner = web.AppRunner(app, shutdown_timeout=_CLOSE_S)
    async with _tls(settings) as tls:
        with _listening(settings) as listening:
            await runner.setup()
            make = partial(Connection, cast(web.Server, runner.server), limits, options)
            connections = Connections(listening, make, tls, limits)
            try:
                yield int(listening.getsockname()[1])
                # aiohttp's own end drops the bodies that are still arriving.
                connections.accept_no_more()
                await app[ENTRANCE].drained(settings.http_drain_s)
            finally:
                await runner.cleanup()
                await connections.end()


def _refuse_unless_room(connections: int) -> None:
    """Each takes a descriptor. Raises SettingsError where the process may not have as many."""
    needed = connections + EXTRA + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"FLEETPRICE_SCORER_MAX_CONNECTIONS: {connections} take {needed} file descriptors, "
            "more than this process may have (ulimit -Hn)"
        ) from error


def _listening(settings: ScorerSettings) -> socket.socket:
    """Connections are ended by the kernel whose callers take nothing of their answers for too long."""
    try:
        listening = socket.create_server(
            (settings.host, settings.http_port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
            reuse_port=settings.shares_port,
        )
    except OSError as error:
        raise PortInUse(
            f"port {settings.http_port} on {settings.host} is in use: "
            "give FLEETPRICE_SCORER_HTTP_PORT another one"
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        timeout_ms = round(settings.answer_timeout_s * 1e3)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    return listening


class _NoHttp(logging.Filter):
    """What is not HTTP is answered with 400; aiohttp would log each as an error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _connections_log() -> logging.Logger:
    logger = logging.getLogger("shared.http.connections")
    if not logger.filters:
        logger.addFilter(_NoHttp())
    return logger


@asynccontextmanager
async def _tls(settings: ScorerSettings) -> AsyncIterator[ssl.SSLContext | None]:
    """A context whose certificate follows its files: connections made after a renewal get the new one."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        yield None
        return
    if certificate is None or key is None:
        raise SettingsError(f"TLS takes both a certificate and its key: {_VARIABLES}")
    context = _context(certificate, key)
    load = partial(_renew, context, certificate, key)
    watching = asyncio.create_task(apply_changes([certificate, key], load, settings.watch_interval_s))
    try:
        yield context
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise SettingsError(
            f"{certificate} and {key} are no certificate with its key ({_VARIABLES}): {error}"
        ) from error
    return context


def _renew(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _context(certificate, key)  # tried first: a half that does not fit would stay in the live context
    context.load_cert_chain(certificate, key)
