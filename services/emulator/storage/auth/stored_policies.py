"""Stored access policies: terms of shared access signatures that can be changed or revoked later."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from services.emulator.storage.model.entries import StoredPolicy
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.xml import encode_xml, find_text, parse_xml

MAX_POLICIES = 5
_MAX_ID_CHARS = 64
_TERM_FIELDS = {"st": "start", "se": "expiry", "sp": "permissions"}


def parse_policies(raw: bytes) -> tuple[StoredPolicy, ...]:
    """Parse a `SignedIdentifiers` document.

    Raises InvalidXmlDocument if the document is malformed, a policy is invalid, an id is repeated, or there
    are more than `MAX_POLICIES`.
    """
    if not raw:
        return ()
    root = parse_xml(raw, "SignedIdentifiers")
    policies = []
    for identifier in root:
        policy_id = find_text(identifier, "Id")
        terms = [find_text(identifier, f"AccessPolicy/{name}") for name in ("Start", "Expiry", "Permission")]
        if not 0 < len(policy_id) <= _MAX_ID_CHARS or any(not term.isascii() for term in terms):
            raise Refused("InvalidXmlDocument", detail="SignedIdentifier")
        policies.append(StoredPolicy(policy_id, *terms))
    if len(policies) > MAX_POLICIES or len({policy.policy_id for policy in policies}) < len(policies):
        raise Refused("InvalidXmlDocument", detail=f"at most {MAX_POLICIES} policies, each with its own id")
    return tuple(policies)


def policies_xml(policies: Sequence[StoredPolicy]) -> bytes:
    identifiers = "".join(
        f"<SignedIdentifier><Id>{escape(policy.policy_id)}</Id><AccessPolicy>"
        f"<Start>{escape(policy.start)}</Start><Expiry>{escape(policy.expiry)}</Expiry>"
        f"<Permission>{escape(policy.permissions)}</Permission></AccessPolicy></SignedIdentifier>"
        for policy in policies
    )
    return encode_xml(f"<SignedIdentifiers>{identifiers}</SignedIdentifiers>")


def apply_policy(token: Mapping[str, str], policies: Sequence[StoredPolicy]) -> Mapping[str, str]:
    """Return the token, completed by the terms of the stored policy if the token references one.

    Raises AuthenticationFailed if the policy does not exist, or if the token and the policy state the same
    term.
    """
    if (policy_id := token.get("si")) is None:
        return token
    policy = next((policy for policy in policies if policy.policy_id == policy_id), None)
    if policy is None:
        raise Refused("AuthenticationFailed", detail=f"the stored policy {policy_id} is not there")
    terms = {name: value for name, field in _TERM_FIELDS.items() if (value := getattr(policy, field))}
    if terms.keys() & token.keys():
        raise Refused("AuthenticationFailed", detail="terms stand in the token and in its stored policy")
    return {**token, **terms}
