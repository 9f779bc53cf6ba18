"""API keys, stored as digests together with the names of their callers.

A key is a random secret that nobody can guess, so a single SHA-256 protects it as well as a slow hash would.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from shared.service.errors import SettingsError

Digests = Mapping[bytes, str]

_HASHED = re.compile(r"(?P<name>[A-Za-z0-9._@-]{1,64}):sha256:(?P<digest>[0-9A-Fa-f]{64})")
_NO_DIGEST = bytes(32)


class ApiKeys:
    """The accepted API keys, each with the name of its caller."""

    def __init__(self, digests: Digests) -> None:
        self._names = dict(digests)

    def replace(self, digests: Digests) -> None:
        """Accept only the keys with these digests from now on."""
        self._names = dict(digests)

    def find_caller(self, key: str) -> str | None:
        """Return the name of the caller to whom `key` belongs, or None if the key is not accepted.

        The lookup uses the digest of the key that was sent. A sender cannot choose the bytes of a digest, and
        the comparison takes the same time whatever its outcome, so timing reveals nothing about the keys.
        """
        offered = sha256(key.encode(errors="surrogateescape")).digest()
        is_known = offered in self._names
        matches = hmac.compare_digest(offered, offered if is_known else _NO_DIGEST)
        return self._names[offered] if matches else None


def digest_key(key: str) -> bytes:
    return sha256(key.encode()).digest()


def parse_hashed_keys(lines: Iterable[str], source: str) -> dict[bytes, str]:
    """Parse lines of the form `NAME:sha256:HEX` and return a mapping from digest to caller name.

    Blank lines and lines that start with # are skipped. One caller may have several keys, so that a new key
    works before the old one is withdrawn. Raises SettingsError if a line has another form or if two callers
    have the same key; the message names `source` and the line number.
    """
    found: dict[bytes, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _HASHED.fullmatch(text)
        if match is None:
            raise SettingsError(f"{source}, line {number}: not NAME:sha256:HEX")
        digest = bytes.fromhex(match["digest"])
        if found.setdefault(digest, match["name"]) != match["name"]:
            raise SettingsError(f"{source}, line {number}: two callers have the same key")
    return found
