"""The claims that a JSON web token grants on Event Hubs, according to the roles of its holder."""

from services.emulator.event_hubs.sas import LISTEN, MANAGE, SEND, Grant, TokenRefused, path_of
from services.emulator.identity.claims import Flaw, TokenInvalid
from services.emulator.identity.issuer import Issuer
from services.emulator.identity.roles import Role

# The SDKs use "jwt"; the draft of the CBS standard and a few other clients use the other names.
TOKEN_TYPES = frozenset({"jwt", "amqp:jwt", "bearer"})
AUDIENCES = frozenset({"https://eventhubs.azure.net", "https://servicebus.azure.net"})

_CLAIMS = {
    Role.EVENT_HUBS_OWNER: {LISTEN, SEND, MANAGE},
    Role.EVENT_HUBS_SENDER: {SEND},
    Role.EVENT_HUBS_RECEIVER: {LISTEN},
}
_DESCRIPTIONS = {
    Flaw.MALFORMED: "MalformedToken: The token is malformed.",
    Flaw.SIGNATURE: "InvalidSignature: The token has an invalid signature.",
    Flaw.ISSUER: "InvalidIssuer: Token issuer is invalid.",
    Flaw.AUDIENCE: "InvalidAudience: The authorization header contains a token with the wrong audience.",
    Flaw.NOT_YET_VALID: "InvalidToken: The token is not yet valid.",
    Flaw.EXPIRED: "ExpiredToken: The token is expired.",
}


def grant_from_token(issuer: Issuer | None, token: str, resource: str) -> Grant:
    """Return the grant of `token` on `resource`; its claims are empty if no role of the holder applies.

    Raises TokenRefused if the token is invalid or no issuer is configured.
    """
    if issuer is None:
        raise TokenRefused(_DESCRIPTIONS[Flaw.ISSUER])
    try:
        caller = issuer.verify(token, AUDIENCES)
    except TokenInvalid as invalid:
        raise TokenRefused(_DESCRIPTIONS[invalid.flaw]) from invalid
    claims = frozenset().union(*(claims for role, claims in _CLAIMS.items() if role in caller.roles))
    return Grant(path_of(resource), claims, caller.expires_at_s)
