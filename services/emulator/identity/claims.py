"""Claims of tokens, in the form in which Entra ID issues them to managed identities."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from services.emulator.identity.roles import Role
from shared.service.errors import FleetpriceError

# The same machine issues and checks tokens; its clock may be set back a little in between.
SKEW_S = 5
SYSTEM_ASSIGNED = "system"
# The year 9999, after which no time can be written.
_LATEST_S = 253_402_300_800


class Flaw(StrEnum):
    """The reason why a token is invalid."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


class TokenInvalid(FleetpriceError):
    """An invalid token. Each service turns the flaw into its own error message."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity that a token is issued to. The ids derive from tenant and name, so restarts keep them."""

    tenant_id: str
    client_id: str
    object_id: str

    @classmethod
    def from_name(cls, tenant_id: str, name: str) -> "Principal":
        """Return the principal for a name.

        The name is "system" (the system-assigned identity), or a user-assigned identity's client id or name.
        """
        tenant = UUID(tenant_id)
        client_id = name if _is_uuid(name) else str(uuid5(tenant, f"client/{name}"))
        return cls(tenant_id, client_id, str(uuid5(tenant, f"object/{client_id.lower()}")))


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity of a verified token, with its roles and expiry time."""

    object_id: str
    tenant_id: str
    roles: frozenset[str]
    expires_at_s: float


def build_claims(
    principal: Principal,
    *,
    issuer: str,
    audience: str,
    roles: Iterable[Role],
    issued_at_s: int,
    lifetime_s: int,
) -> dict[str, Any]:
    """Build the claims of a version 1.0 token, the version that managed identities get.

    Entra ID omits data roles, because services look them up. Here the token carries the roles.
    """
    return {
        "aud": audience,
        "iss": issuer,
        "iat": issued_at_s,
        # A token that is issued expired must begin before its expiry.
        "nbf": issued_at_s + min(lifetime_s, 0),
        "exp": issued_at_s + lifetime_s,
        "appid": principal.client_id,
        "appidacr": "2",
        "idp": issuer,
        "idtyp": "app",
        "oid": principal.object_id,
        "sub": principal.object_id,
        "tid": principal.tenant_id,
        "roles": [role.value for role in roles],
        "ver": "1.0",
    }


def check_claims(
    claims: Mapping[str, Any], *, issuer: str, audiences: Collection[str], now_s: float
) -> Caller:
    """Check the claims of a token whose signature is valid, and return the caller.

    Raises TokenInvalid if a claim is malformed, issuer or audience is wrong, or the token is not in force.
    """
    expires_at_s, begins_at_s = _require_number(claims, "exp"), _require_number(claims, "nbf")
    object_id, tenant_id, roles = claims.get("oid"), claims.get("tid"), claims.get("roles", [])
    if not (isinstance(object_id, str) and isinstance(tenant_id, str) and isinstance(roles, list)):
        raise TokenInvalid(Flaw.MALFORMED)
    if claims.get("iss") != issuer:
        raise TokenInvalid(Flaw.ISSUER)
    if not set(_audiences(claims)) & set(audiences):
        raise TokenInvalid(Flaw.AUDIENCE)
    if now_s + SKEW_S < begins_at_s:
        raise TokenInvalid(Flaw.NOT_YET_VALID)
    if now_s >= expires_at_s + SKEW_S:
        raise TokenInvalid(Flaw.EXPIRED)
    return Caller(object_id, tenant_id, frozenset(map(str, roles)), expires_at_s + SKEW_S)


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return [value.rstrip("/") for value in audiences if isinstance(value, str)]


def _require_number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenInvalid(Flaw.MALFORMED)
    if not abs(value) < _LATEST_S:  # also not NaN, which would never expire
        raise TokenInvalid(Flaw.MALFORMED)
    return value


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
