"""Authorization by an Entra ID token: `Authorization: Bearer`, over TLS only."""

from services.emulator.identity.claims import Caller, Flaw, TokenInvalid
from services.emulator.identity.issuer import Issuer
from services.emulator.identity.roles import Role
from services.emulator.storage.model.errors import CATALOG, Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.routing import Operation

SCHEME = "Bearer"
# Permission to get a user delegation key. Every role has it and no SAS: keys are for identities only.
DELEGATE = "K"
_FIRST_VERSION = "2017-11-09"

_READER = frozenset("rle")
_CONTRIBUTOR = _READER | frozenset("acwdmtx")
# Each role's permissions, written as in a SAS. Every role may delegate its permissions with a key.
PERMISSIONS: dict[str, frozenset[str]] = {
    Role.STORAGE_DELEGATOR: frozenset(),
    Role.STORAGE_READER: _READER,
    Role.STORAGE_CONTRIBUTOR: _CONTRIBUTOR,
    Role.STORAGE_OWNER: _CONTRIBUTOR | frozenset("po"),
}
_FLAW_DETAILS = {
    Flaw.MALFORMED: "Signature validation failed. Token is malformed.",
    Flaw.SIGNATURE: "Signature validation failed. Signature verification failed.",
    Flaw.ISSUER: "Issuer validation failed. Issuer did not match.",
    Flaw.AUDIENCE: "Audience validation failed. Audience did not match.",
    Flaw.NOT_YET_VALID: "Lifetime validation failed. The token is not yet valid.",
    Flaw.EXPIRED: "Lifetime validation failed. The token is expired.",
}


def authenticate(issuer: Issuer | None, request: StorageRequest, token: str) -> Caller:
    """Return the caller that the token identifies.

    Raises Refused with 403 if the request came over plain http or its version is too old, and with 401 if the
    token is invalid.
    """
    if not request.is_secure:
        raise Refused(
            "AuthenticationFailed", detail="Authentication scheme Bearer is not supported over http."
        )
    if request.headers.get("x-ms-version", "") < _FIRST_VERSION:
        raise Refused(
            "AuthenticationFailed", detail="Authentication scheme Bearer is not supported in this version."
        )
    if issuer is None:
        raise _challenge(Flaw.ISSUER)
    try:
        return issuer.verify(token, audiences(request.account))
    except TokenInvalid as invalid:
        raise _challenge(invalid.flaw) from invalid


def check_roles(caller: Caller, operation: Operation) -> None:
    """Check that one of the caller's roles allows the operation.

    Raises AuthorizationPermissionMismatch if none of them does.
    """
    held = collect_permissions(caller)
    if held is None or not operation.is_allowed_by(held | {DELEGATE}):
        raise Refused("AuthorizationPermissionMismatch")


def collect_permissions(caller: Caller) -> frozenset[str] | None:
    """Return the permissions of all the caller's roles together, or None if no role is for storage."""
    held = [allowed for role, allowed in PERMISSIONS.items() if role in caller.roles]
    return frozenset().union(*held) if held else None


def audiences(account: str) -> frozenset[str]:
    """Return the accepted audiences of tokens: all of Azure Storage, or this account's names in Azure."""
    own = (f"https://{account}.{service}.core.windows.net" for service in ("blob", "dfs"))
    return frozenset({"https://storage.azure.com", *own})


def _challenge(flaw: Flaw) -> Refused:
    refused = Refused("InvalidAuthenticationInfo", detail=_FLAW_DETAILS[flaw])
    # Azure uses this code for malformed headers too, but with another message.
    refused.message = CATALOG["NoAuthenticationInformation"][1]
    return refused
