"""API keys: of each only the digest is kept, beside the name of the caller that has it.

A key is a random secret, so that one SHA-256 of it is as good as a slow hash: there is nothing to guess.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from shared.service.errors import SettingsError

Digests = Mapping[bytes, str]

_HASHED = re.compile(r"(?P<name>[A-Za-z0-9._@-]{1,64}):sha256:(?P<digest>[0-9A-Fa-f]{64})")
_NOBODY = bytes(32)


class ApiKeys:
    """Who a key belongs to."""

    def __init__(self, digests: Digests) -> None:
        self._names = dict(digests)

    def replace(self, digests: Digests) -> None:
        """From now on these and no others."""
        self._names = dict(digests)

    def name_of(self, key: str) -> str | None:
        """The caller whose key it is; None for a stranger.

        What is looked up is the digest of what was sent, which nobody can steer byte by byte: neither the
        lookup nor the comparison, whose time does not depend on its outcome, tells anything of the keys.
        """
        offered = sha256(key.encode(errors="surrogateescape")).digest()
        is_known = offered in self._names
        matches = hmac.compare_digest(offered, offered if is_known else _NOBODY)
        return self._names[offered] if matches else None


def digest_of(key: str) -> bytes:
    return sha256(key.encode()).digest()


def hashed_keys(lines: Iterable[str], source: str) -> dict[bytes, str]:
    """`NAME:sha256:HEX` lines; blank ones and those that start with # are passed over.

    One caller may have several keys, so that a new one works before the old one ends. Raises SettingsError.
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
