"""API keys, kept as digests beside the names of their callers.

A key is a random secret, so one SHA-256 keeps it as well as a slow hash would: there is nothing to guess.
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
    """The accepted keys."""

    def __init__(self, digests: Digests) -> None:
        self._names = dict(digests)

    def replace(self, digests: Digests) -> None:
        """Accept these keys from now on, and no others."""
        self._names = dict(digests)

    def find_caller(self, key: str) -> str | None:
        """Return the caller whose key it is, or None.

        The digest of what was sent is looked up. A sender cannot choose its bytes, and the comparison takes
        the same time whatever its outcome, so timing reveals nothing about the keys.
        """
        offered = sha256(key.encode(errors="surrogateescape")).digest()
        is_known = offered in self._names
        matches = hmac.compare_digest(offered, offered if is_known else _NO_DIGEST)
        return self._names[offered] if matches else None


def digest_key(key: str) -> bytes:
    return sha256(key.encode()).digest()


def parse_hashed_keys(lines: Iterable[str], source: str) -> dict[bytes, str]:
    """Parse `NAME:sha256:HEX` lines to digest → name; blank lines and those that start with # are skipped.

    One caller may have several keys, so that a new one works before the old one is withdrawn. Raises
    SettingsError for another line, and for a key of two callers; it names `source` and the line.
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
