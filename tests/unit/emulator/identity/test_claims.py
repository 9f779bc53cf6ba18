import pytest

from services.emulator.identity.claims import (
    SKEW_S,
    SYSTEM_ASSIGNED,
    Flaw,
    Principal,
    TokenInvalid,
    build_claims,
    check_claims,
)
from services.emulator.identity.roles import Role

ISSUER = "http://127.0.0.1:5300/identity"
RESOURCE = "https://eventhubs.azure.net"
TENANT = "6f1fa77c-2f0c-4e0b-8a4a-0d6f2a0f4a11"
CLIENT = "0b9fb2a5-73c9-4dd3-9f5c-1d6c6c6e1a2b"


def claims(**other):
    principal = Principal.from_name(TENANT, SYSTEM_ASSIGNED)
    made = build_claims(
        principal,
        issuer=ISSUER,
        audience=f"{RESOURCE}/",
        roles=[Role.EVENT_HUBS_SENDER],
        issued_at_s=1000,
        lifetime_s=600,
    )
    return made | other


def check(claims, now_s=1200):
    return check_claims(claims, issuer=ISSUER, audiences={RESOURCE}, now_s=now_s)


def flaw_of(claims, now_s=1200):
    with pytest.raises(TokenInvalid) as invalid:
        check(claims, now_s)
    return invalid.value.flaw


def test_a_token_says_what_a_managed_identitys_says():
    """The claims are those that a verifier of Entra ID's tokens reads."""
    made = claims()
    assert made["iss"] == ISSUER
    assert made["aud"] == f"{RESOURCE}/"
    assert (made["iat"], made["nbf"], made["exp"]) == (1000, 1000, 1600)
    assert made["oid"] == made["sub"] != made["appid"]
    assert made["tid"] == TENANT
    assert made["ver"] == "1.0"


def test_a_caller_has_the_roles_of_its_token():
    """The caller has the roles in the token."""
    caller = check(claims())
    assert caller.roles == {"Azure Event Hubs Data Sender"}
    assert caller.tenant_id == TENANT


@pytest.mark.parametrize("audience", [RESOURCE, f"{RESOURCE}/", ["https://other", RESOURCE]])
def test_an_audience_may_end_with_a_slash(audience):
    """The audience may end with a slash, or be a list: SDKs differ."""
    assert check(claims(aud=audience))


@pytest.mark.parametrize("audience", ["https://storage.azure.com", "", None, [], 1])
def test_another_audience_is_refused(audience):
    """A token for storage is refused by Event Hubs."""
    assert flaw_of(claims(aud=audience)) is Flaw.AUDIENCE


def test_another_issuer_is_refused():
    """A token of another issuer, such as Entra ID itself, is refused."""
    assert flaw_of(claims(iss=f"https://sts.windows.net/{TENANT}/")) is Flaw.ISSUER


def test_a_token_ends_when_it_says():
    """A token is refused after its expiry and the tolerated clock skew."""
    assert check(claims(), now_s=1600).expires_at_s == 1600 + SKEW_S
    assert flaw_of(claims(), now_s=1600 + SKEW_S) is Flaw.EXPIRED


def test_a_token_begins_when_it_says():
    """A token from the future is refused, beyond the tolerated clock skew."""
    assert check(claims(), now_s=1000 - SKEW_S)
    assert flaw_of(claims(), now_s=999 - SKEW_S) is Flaw.NOT_YET_VALID


@pytest.mark.parametrize(
    "broken",
    [
        {"exp": None},
        {"exp": "1600"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": float("-inf")},
        {"exp": 10**400},
        {"nbf": True},
        {"oid": 1},
        {"tid": None},
        {"roles": "Owner"},
    ],
)
def test_claims_of_the_wrong_kind_are_refused(broken):
    """Claims of the wrong type are refused, even if they are signed."""
    assert flaw_of(claims(**broken)) is Flaw.MALFORMED


def test_a_user_assigned_identity_keeps_its_client_id():
    """A requested client id is in the token; other names get one that stays the same."""
    assert Principal.from_name(TENANT, CLIENT).client_id == CLIENT
    by_resource = Principal.from_name(TENANT, "/subscriptions/1/identity")
    assert by_resource == Principal.from_name(TENANT, "/subscriptions/1/identity")
    assert by_resource.client_id != Principal.from_name(TENANT, SYSTEM_ASSIGNED).client_id
