"""The certificate that the emulator presents to TLS clients: generated, or the user's own.

Files in `DIR/tls`: clients trust `ca.pem`; the server uses `server.pem` and `server.key`. The authority's
key signs once and is never stored, so nothing else can be signed for clients that trust `ca.pem`.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from shared.service.atomic_file import replace_file
from shared.service.errors import SettingsError
from shared.service.extras import needs_extra

_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of the certificate's files. Clients trust `ca`; the server uses `chain` and `key`."""

    ca: Path
    chain: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Build the server's TLS context.

        Raises SettingsError if the files are no certificate with its key.
        """
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
    """Return the certificate in `directory`, generated anew if one is missing or no longer usable.

    A certificate is not usable if it expires soon or does not cover the names of `host`.
    """
    with needs_extra("TLS of the emulator", "emulator"):
        from services.emulator.tls import authority  # noqa: PLC0415 - slow to import, and only TLS needs it

    now = now or datetime.now(UTC)
    certificate = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    names = list_names(host)
    if not (_is_complete(certificate) and authority.is_usable(certificate.chain.read_bytes(), names, now)):
        signed = authority.issue_certificate(names, now)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A crash in between leaves no mix of old and new files: `ca.pem` is deleted first and written last,
        # and without it all files are generated again.
        certificate.ca.unlink(missing_ok=True)
        replace_file(certificate.key, signed.key, mode=0o600)
        replace_file(certificate.chain, signed.chain)
        replace_file(certificate.ca, signed.ca)
    return certificate


def list_names(host: str) -> Iterable[str]:
    """Return the names by which clients reach `host`: the local names and `host` itself.

    If `host` stands for all addresses, the machine's name takes its place.
    """
    return dict.fromkeys((*_LOCAL_NAMES, gethostname() if host in _WILDCARDS else host))


def _is_complete(certificate: Certificate) -> bool:
    return certificate.ca.exists() and certificate.chain.exists() and certificate.key.exists()
