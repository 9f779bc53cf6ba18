"""The certificate that the emulator shows to clients which insist on TLS: of its own making, or the person's.

Files in `DIR/tls`: `ca.pem` is what a client is told to trust; `server.pem` and `server.key` are the
server's. The authority's key signs once and is never written down: whoever trusts `ca.pem` trusts nothing
that anybody could still sign with it.
"""

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from shared.service.errors import SettingsError

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where the files are; `ca` is the one to hand to clients."""

    ca: Path
    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Raises SettingsError where the files are no certificate with its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.chain, self.key)
        except OSError as exc:
            raise SettingsError(
                f"{self.chain} and {self.key} are no certificate with its key: {exc}"
            ) from exc
        return context


def own_certificate(directory: Path, host: str, *, now: datetime | None = None) -> Certificate:
    """The certificate kept in `directory`, made anew where it would not do for `host` or ends soon."""
    from services.emulator.tls import authority  # noqa: PLC0415 - slow to import, and only TLS needs it

    now = now or datetime.now(UTC)
    certificate = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    names = names_of(host)
    if not (_is_complete(certificate) and authority.is_usable(certificate.chain.read_bytes(), names, now)):
        signed = authority.issue_certificate(names, now)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # After a crash in between no half of the old stands beside a half of the new: what a client is to
        # trust goes first and comes last, and without it all is made again.
        certificate.ca.unlink(missing_ok=True)
        _write(certificate.key, signed.key, mode=0o600)
        _write(certificate.chain, signed.chain, mode=0o644)
        _write(certificate.ca, signed.ca, mode=0o644)
    return certificate


def names_of(host: str) -> Iterable[str]:
    """What clients may call a server that listens on `host`; on all addresses, the machine's name too."""
    return dict.fromkeys((*_LOCAL_NAMES, gethostname() if host in _WILDCARDS else host))


def _is_complete(certificate: Certificate) -> bool:
    return certificate.ca.exists() and certificate.chain.exists() and certificate.key.exists()


def _write(path: Path, content: bytes, *, mode: int) -> None:
    staged = path.with_suffix(f".{os.getpid()}")
    staged.unlink(missing_ok=True)
    with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    staged.rename(path)
