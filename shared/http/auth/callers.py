"""Callers, each identified by an API key or an Entra ID token and each with a separate rate limit."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus

from shared.http.auth.api_keys import ApiKeys
from shared.http.auth.tokens import EntraTokens, looks_like_token
from shared.http.limits import RateLimit
from shared.http.problems import Refusal
from shared.http.token_bucket import TokenBucket

# Token holders come and go: above this many, the one silent longest is forgotten, and its bucket full again.
_MAX_CALLERS = 10_000
_REALM = 'Bearer realm="fleetprice"'


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, its rate limit, and the bucket that holds the units it has left."""

    name: str
    limit: RateLimit
    bucket: TokenBucket

    def charge(self, units: int) -> None:
        """Take `units` from the caller's rate limit. Raises Refusal (429) if fewer units are left."""
        if wait_s := self.bucket.try_acquire(units, time.monotonic()):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                self.limit.kind,
                self.limit.detail,
                headers={"Retry-After": str(math.ceil(wait_s))},
            )


class Callers:
    """The callers seen recently, with their rate limits."""

    def __init__(self, keys: ApiKeys, tokens: EntraTokens | None, limit: RateLimit) -> None:
        self._keys = keys
        self._tokens = tokens
        self._limit = limit
        self._seen: OrderedDict[str, Caller] = OrderedDict()

    def with_key(self, authorization: str | None) -> Caller | None:
        """Return the caller whose API key the header holds, or None if it holds no accepted key."""
        credential = _bearer(authorization)
        name = None if credential is None else self._keys.find_caller(credential)
        return None if name is None else self._caller(name)

    async def identify(self, authorization: str | None) -> Caller:
        """Return the caller whose token the `Authorization` header holds.

        Raises Refusal: 401 if the header holds no accepted token, 403 if the token lacks the role or scope,
        503 if the issuer's signing keys are unavailable.
        """
        credential = _bearer(authorization)
        if credential is None:
            raise _unauthorized("send `Authorization: Bearer KEY`", _REALM)
        if self._tokens is None or not looks_like_token(credential):
            raise _unauthorized("the key is not accepted", f'{_REALM}, error="invalid_token"')
        name = await self._tokens.verify(credential)
        if name is None:
            raise _unauthorized("the token is not accepted", f'{_REALM}, error="invalid_token"')
        return self._caller(name)

    def _caller(self, name: str) -> Caller:
        caller = self._seen.get(name)
        if caller is None:
            bucket = TokenBucket.full(self._limit.per_s, self._limit.burst, time.monotonic())
            caller = self._seen[name] = Caller(name, self._limit, bucket)
            if len(self._seen) > _MAX_CALLERS:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(name)
        return caller


def _bearer(authorization: str | None) -> str | None:
    """Return the key or token in the header, or None if the header is missing or not of scheme Bearer."""
    scheme, _, credential = (authorization or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _unauthorized(detail: str, challenge: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
