"""Entra ID tokens: checks of the signature, issuer, audience, times, and role or scope."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import jwt

from shared.http.auth.signing_keys import ALGORITHM, SigningKeys
from shared.http.problems import Refusal

# The issuer's clock and ours may differ.
LEEWAY_S = 60
# Callers send the same token for an hour: its signature is checked once in this time.
REMEMBERED_S = 300.0
_MAX_KNOWN = 1_024
_LATEST_S = 253_402_300_800  # the year 9999, after which no time can be written
_MAX_CHARS = 8_192
_PARTS = 3


@dataclass(frozen=True, slots=True)
class TokenRequirements:
    """The claims that a token must have.

    The role or the scope is enough. If neither is set, any token of the issuer for one of the audiences is
    accepted.
    """

    issuer: str
    audiences: tuple[str, ...]
    role: str | None = None
    scope: str | None = None

    def are_met_by(self, claims: Mapping[str, Any]) -> bool:
        """Return True if the claims hold the required role or scope, or if neither is required.

        Programs that act for themselves have roles; programs that act for a person have scopes.
        """
        if self.role is None and self.scope is None:
            return True
        roles, scopes = claims.get("roles"), claims.get("scp")
        has_role = self.role is not None and isinstance(roles, list) and self.role in roles
        has_scope = self.scope is not None and isinstance(scopes, str) and self.scope in scopes.split()
        return has_role or has_scope


@dataclass(frozen=True, slots=True)
class _Known:
    """The holder of a checked token. `expires_at_s` is by the clock, `until_s` by the time that goes on."""

    name: str
    expires_at_s: float
    until_s: float


def looks_like_token(credential: str) -> bool:
    return credential.count(".") == _PARTS - 1 and credential.startswith("ey")


class EntraTokens:
    """A checker of Entra ID tokens against the requirements and the issuer's signing keys."""

    def __init__(
        self,
        requirements: TokenRequirements,
        keys: SigningKeys,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._requirements = requirements
        self._keys = keys
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def verify(self, token: str) -> str | None:
        """Return the name of the token's holder, or None if the token is not valid.

        Raises Refusal: 403 if the token lacks the required role or scope, 503 if the issuer's keys are
        unavailable.
        """
        if len(token) > _MAX_CHARS:
            return None
        digest = sha256(token.encode(errors="surrogateescape")).digest()
        known = self._known.get(digest)
        if known is not None and time.time() < known.expires_at_s and self._monotonic() < known.until_s:
            return known.name
        until_s = self._monotonic() + REMEMBERED_S
        claims = await self._claims(token)
        name, expires_at_s = (None, None) if claims is None else (_holder_name(claims), _expiry(claims))
        if claims is None or name is None or expires_at_s is None:
            return None
        if not self._requirements.are_met_by(claims):
            raise Refusal(HTTPStatus.FORBIDDEN, "forbidden", "the token lacks the role or scope for this")
        self._remember(digest, _Known(name, expires_at_s + LEEWAY_S, until_s))
        return name

    async def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            key = await self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=list(self._requirements.audiences),
                issuer=self._requirements.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.InvalidTokenError, OverflowError):  # the latter for an infinite time [PyJWT 2.15]
            return None
        return claims

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)


def _expiry(claims: Mapping[str, Any]) -> float | None:
    """Return the time `exp`, seconds since 1970, or None if it is no number. PyJWT also takes text."""
    value = claims["exp"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < _LATEST_S else None


def _holder_name(claims: Mapping[str, Any]) -> str | None:
    """Return the holder's name: the object id or, if there is none, the subject. None if neither exists.

    Unlike a person's name, an object id is never reused.
    """
    for claim in ("oid", "sub"):
        value = claims.get(claim)
        if isinstance(value, str) and value:
            return f"token:{value}"
    return None
