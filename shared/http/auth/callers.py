"""Who calls: by an API key or by a token of Entra ID, each with an allowance of its own."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus

from shared.http.auth.api_keys import ApiKeys
from shared.http.auth.tokens import EntraTokens, looks_like_token
from shared.http.problems import Refusal
from shared.http.token_bucket import TokenBucket

# Token holders come and go: beyond this many the one that was silent longest starts with a full allowance.
_MAX_CALLERS = 10_000
_REALM = 'Bearer realm="fleetprice"'


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    allowance: TokenBucket

    def charge(self, vehicles: int) -> None:
        """Raises Refusal (429) where that is more than the caller may ask for now."""
        if wait_s := self.allowance.wait_s(vehicles, time.monotonic()):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too-many-vehicles",
                f"this caller may price {self.allowance.per_s:g} vehicles a second: try again later",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )


class Callers:
    """Tells callers apart."""

    def __init__(self, keys: ApiKeys, tokens: EntraTokens | None, per_s: float, burst: float) -> None:
        self._keys = keys
        self._tokens = tokens
        self._per_s, self._burst = per_s, burst
        self._met: OrderedDict[str, Caller] = OrderedDict()

    def with_key(self, authorization: str | None) -> Caller | None:
        """The caller whose key this is; None where it is none."""
        credential = _bearer(authorization)
        name = None if credential is None else self._keys.name_of(credential)
        return None if name is None else self._caller(name)

    async def identify(self, authorization: str | None) -> Caller:
        """Who has no key. Raises Refusal: 401 without an accepted token, 403 for one without the role."""
        credential = _bearer(authorization)
        if credential is None:
            raise _unauthorized("send `Authorization: Bearer KEY`", _REALM)
        if self._tokens is None or not looks_like_token(credential):
            raise _unauthorized("the key is not accepted", f'{_REALM}, error="invalid_token"')
        name = await self._tokens.name_of(credential)
        if name is None:
            raise _unauthorized("the token is not accepted", f'{_REALM}, error="invalid_token"')
        return self._caller(name)

    def _caller(self, name: str) -> Caller:
        caller = self._met.get(name)
        if caller is None:
            caller = Caller(name, TokenBucket.full(self._per_s, self._burst, time.monotonic()))
            self._met[name] = caller
            if len(self._met) > _MAX_CALLERS:
                self._met.popitem(last=False)
        else:
            self._met.move_to_end(name)
        return caller


def _bearer(authorization: str | None) -> str | None:
    """The key or token that is sent; None where the header is missing or of another scheme."""
    scheme, _, credential = (authorization or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _unauthorized(detail: str, challenge: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
