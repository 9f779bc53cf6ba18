import pytest

from services.emulator.event_hubs import bearer as event_hubs
from services.emulator.event_hubs.sas import LISTEN, MANAGE, SEND, TokenRefused
from services.emulator.identity.claims import SKEW_S, Caller
from services.emulator.identity.issuer import Assignment, Issuer
from services.emulator.identity.roles import Role
from services.emulator.storage.auth import bearer as storage
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.routing import OPERATIONS, Dialect, Operation

NOW_S = 1_800_000_000
HUB = "sb://127.0.0.1:5671/telemetry"
EVENT_HUBS = "https://eventhubs.azure.net/"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), clock=lambda: NOW_S)
    issuer.set_base_url("http://127.0.0.1:5300")
    return issuer


def grant(issuer, *roles, **assignment):
    issued = issuer.issue(EVENT_HUBS, assignment=Assignment(roles=roles, **assignment))
    return event_hubs.grant_from_token(issuer, issued.access_token, HUB)


@pytest.mark.parametrize(
    ("roles", "claims"),
    [
        ([Role.EVENT_HUBS_OWNER], {LISTEN, SEND, MANAGE}),
        ([Role.EVENT_HUBS_SENDER], {SEND}),
        ([Role.EVENT_HUBS_RECEIVER], {LISTEN}),
        ([Role.EVENT_HUBS_RECEIVER, Role.EVENT_HUBS_SENDER], {LISTEN, SEND}),
        ([Role.STORAGE_OWNER], set()),
    ],
)
def test_roles_become_claims(issuer, roles, claims):
    """A sender may send and a receiver may listen, on the hub for which the token was put."""
    given = grant(issuer, *roles)
    assert given.claims == claims
    assert given.scope == "telemetry"
    assert given.reaches_hub("telemetry", NOW_S) is bool(claims)


def test_a_grant_ends_with_its_token(issuer):
    """An authorization expires with its token, as with signatures."""
    given = grant(issuer, Role.EVENT_HUBS_OWNER, expires_in_s=600)
    assert given.expires_at_s == NOW_S + 600 + SKEW_S
    assert given.covers("telemetry", SEND, NOW_S + 600)
    assert not given.covers("telemetry", SEND, NOW_S + 600 + SKEW_S)


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 60_000])
def test_nonsense_is_refused_in_the_services_words(issuer, token):
    """Text that is no token is refused as malformed."""
    with pytest.raises(TokenRefused, match="MalformedToken"):
        event_hubs.grant_from_token(issuer, token, HUB)


def test_without_an_issuer_there_are_no_tokens(issuer):
    """A server without an issuer accepts no token."""
    token = issuer.issue(EVENT_HUBS).access_token
    with pytest.raises(TokenRefused, match="InvalidIssuer"):
        event_hubs.grant_from_token(None, token, HUB)


def may(role, operation):
    caller = Caller("object", "tenant", frozenset({role}), NOW_S)
    try:
        storage.check_roles(caller, operation)
    except Refused:
        return False
    return True


def named(name):
    return next(operation for operation in OPERATIONS.values() if operation.name == name)


def test_each_role_may_do_what_the_lesser_one_may():
    """An owner may do all that a contributor may, and a contributor all that a reader may."""
    for operation in OPERATIONS.values():
        roles = (Role.STORAGE_READER, Role.STORAGE_CONTRIBUTOR, Role.STORAGE_OWNER)
        allowed = [may(role, operation) for role in roles]
        assert allowed == sorted(allowed), operation


@pytest.mark.parametrize("name", ["put_blob", "append", "flush", "rename", "delete_path", "create_container"])
def test_a_reader_changes_nothing(name):
    """A reader may neither write nor delete."""
    assert not may(Role.STORAGE_READER, named(name))
    assert may(Role.STORAGE_CONTRIBUTOR, named(name))


def test_the_accounts_key_alone_does_some_things():
    """Operations that no permission covers are refused for every role."""
    assert not may(Role.STORAGE_OWNER, Operation("anything", Dialect.BLOB, "c", ""))
