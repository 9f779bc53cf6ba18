"""Who may ask for prices: callers that send one of the keys."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus

from services.scorer.rest.problems import Refusal

_SCHEME = "bearer"


class ApiKeys:
    """The accepted keys; only their digests are kept."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def check(self, authorization: str | None) -> None:
        """Raises Refusal (401) unless the header is `Bearer KEY` with an accepted key."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != _SCHEME or not self._accepts(key.strip()):
            detail = "the key is not accepted" if authorization else "send `Authorization: Bearer KEY`"
            refusal = Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", detail)
            refusal.headers["WWW-Authenticate"] = "Bearer"
            raise refusal

    def _accepts(self, key: str) -> bool:
        """Every digest is compared, each in constant time, so that timing tells nothing of the keys."""
        offered = sha256(key.encode(errors="surrogateescape")).digest()
        return sum(hmac.compare_digest(offered, digest) for digest in self._digests) > 0
