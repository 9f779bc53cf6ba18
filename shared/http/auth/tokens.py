"""Tokens of Entra ID: who holds one that is in force, for this service and with the role that it asks for."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import jwt

from shared.http.auth.signing_keys import ALGORITHM, SigningKeys
from shared.http.problems import Refusal

# Clocks of different machines judge and issue.
LEEWAY_S = 60
# Callers send the same token for an hour; its signature is checked once.
_REMEMBERED = 1_024
_MAX_CHARS = 8_192
_PARTS = 3


@dataclass(frozen=True, slots=True)
class TokenRequirements:
    """What a token must say. With neither role nor scope, any token for the audience will do."""

    issuer: str
    audiences: tuple[str, ...]
    role: str | None = None
    scope: str | None = None

    def are_met_by(self, claims: Mapping[str, Any]) -> bool:
        """Programs carry roles, people's programs scopes: one of the two is enough."""
        if self.role is None and self.scope is None:
            return True
        roles, scopes = claims.get("roles"), claims.get("scp")
        has_role = self.role is not None and isinstance(roles, list) and self.role in roles
        has_scope = self.scope is not None and isinstance(scopes, str) and self.scope in scopes.split()
        return has_role or has_scope


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    expires_at_s: float


def looks_like_token(credential: str) -> bool:
    return credential.count(".") == _PARTS - 1 and credential.startswith("ey")


class EntraTokens:
    """Judges tokens; the keys come from the issuer."""

    def __init__(self, demands: TokenRequirements, keys: SigningKeys) -> None:
        self._demands = demands
        self._keys = keys
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def name_of(self, token: str) -> str | None:
        """Who holds it; None for a token that proves nothing.

        Raises Refusal: 403 without the role or scope, 503 while the issuer's keys cannot be had.
        """
        if len(token) > _MAX_CHARS:
            return None
        digest = sha256(token.encode(errors="surrogateescape")).digest()
        known = self._known.get(digest)
        if known is not None and time.time() < known.expires_at_s:
            return known.name
        claims = await self._claims(token)
        name = None if claims is None else _name_of(claims)
        if claims is None or name is None:
            return None
        if not self._demands.are_met_by(claims):
            raise Refusal(HTTPStatus.FORBIDDEN, "forbidden", "the token lacks the role or scope for this")
        self._remember(digest, _Known(name, claims["exp"] + LEEWAY_S))
        return name

    def forget(self) -> None:
        """Check every signature anew: the keys have changed."""
        self._known.clear()

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
                audience=list(self._demands.audiences),
                issuer=self._demands.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError:
            return None
        return claims

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _name_of(claims: Mapping[str, Any]) -> str | None:
    """The object id of whoever holds it: unlike names, it is never given to another."""
    for claim in ("oid", "sub"):
        value = claims.get(claim)
        if isinstance(value, str) and value:
            return f"token:{value}"
    return None
