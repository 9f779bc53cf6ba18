"""TLS for a listener: an SSL context whose certificate is reloaded when its files change."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from shared.http.settings import HttpSettings
from shared.http.watched_files import apply_changes
from shared.service.errors import SettingsError


@asynccontextmanager
async def open_tls(settings: HttpSettings) -> AsyncIterator[ssl.SSLContext | None]:
    """Yield the TLS context, or None if neither a certificate nor a key is set.

    After the files are renewed, new connections get the new certificate. Raises SettingsError if the
    certificate or the key is missing or unusable.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        yield None
        return
    variables = f"{settings.variable('TLS_CERTIFICATE')}, {settings.variable('TLS_KEY')}"
    if certificate is None or key is None:
        raise SettingsError(f"TLS takes both a certificate and its key: {variables}")
    context = _load_context(certificate, key, variables)
    renew = partial(_renew, context, certificate, key, variables)
    watching = asyncio.create_task(apply_changes([certificate, key], renew, settings.watch_interval_s))
    try:
        yield context
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _load_context(certificate: Path, key: Path, variables: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise SettingsError(
            f"{certificate} and {key} are no certificate with its key ({variables}): {error}"
        ) from error
    return context


def _renew(context: ssl.SSLContext, certificate: Path, key: Path, variables: str) -> None:
    _load_context(
        certificate, key, variables
    )  # first: a file that does not fit would stay in the live context
    context.load_cert_chain(certificate, key)
