"""What an Entra ID token allows on storage: `Authorization: Bearer`, over TLS alone."""

from services.emulator.identity.claims import Caller, Flaw, TokenInvalid
from services.emulator.identity.issuer import Issuer
from services.emulator.identity.roles import Role
from services.emulator.storage.model.errors import CATALOG, Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.routing import Operation

SCHEME = "Bearer"
# What every role may: be given a key. No SAS has it, for a key is given to identities alone.
DELEGATE = "K"
_FIRST_VERSION = "2017-11-09"

_READER = frozenset("rle")
_CONTRIBUTOR = _READER | frozenset("acwdmtx")
# Each role's permissions, written as in a SAS. All may have a key to delegate what they have.
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
    """Whose token it is. Raises Refused."""
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
    """Raises Refused unless one of the caller's roles allows the operation."""
    held = permissions_of(caller)
    if held is None or not set(operation.permissions) & (held | {DELEGATE}):
        raise Refused("AuthorizationPermissionMismatch")


def permissions_of(caller: Caller) -> frozenset[str] | None:
    """Everything that the caller's roles allow; None for whom storage knows no role at all."""
    held = [allowed for role, allowed in PERMISSIONS.items() if role in caller.roles]
    return frozenset().union(*held) if held else None


def audiences(account: str) -> frozenset[str]:
    """All storage, or this account by one of its names in Azure."""
    own = (f"https://{account}.{service}.core.windows.net" for service in ("blob", "dfs"))
    return frozenset({"https://storage.azure.com", *own})


def _challenge(flaw: Flaw) -> Refused:
    refused = Refused("InvalidAuthenticationInfo", detail=_FLAW_DETAILS[flaw])
    # The code is shared with malformed headers, the sentence is not.
    refused.message = CATALOG["NoAuthenticationInformation"][1]
    return refused
