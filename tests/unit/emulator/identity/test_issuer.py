import base64
import json
import stat

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.emulator.identity.claims import Flaw, TokenInvalid
from services.emulator.identity.issuer import Assignment, Issuer
from services.emulator.identity.roles import Role
from shared.service.errors import NeedsAttention

RESOURCE = "https://storage.azure.com"
URL = "http://127.0.0.1:5300"


class Clock:
    def __init__(self):
        self.now_s = 1_800_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """One directory for all tests, because generating its key is slow."""
    return tmp_path_factory.mktemp("issuer")


@pytest.fixture
def issuer(directory, clock):
    issuer = Issuer(directory, clock=clock)
    issuer.set_base_url(URL)
    return issuer


def flaw_of(issuer, token):
    with pytest.raises(TokenInvalid) as invalid:
        issuer.verify(token, {RESOURCE})
    return invalid.value.flaw


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_comes_back_as_its_owner(issuer):
    """Verifying a token returns the identity to which it was issued."""
    issued = issuer.issue(RESOURCE)
    caller = issuer.verify(issued.access_token, {RESOURCE})
    assert caller.object_id == claims_of(issued.access_token)["oid"]
    assert caller.roles == {Role.EVENT_HUBS_OWNER, Role.STORAGE_OWNER}


def test_others_can_verify_with_the_published_key(issuer):
    """A service can verify our tokens by discovery and the key set, as with Entra ID's."""
    assert issuer.discovery()["issuer"] == issuer.name
    key = jwt.PyJWK(issuer.key().jwk)
    token = issuer.issue(RESOURCE, assignment=Assignment(expires_in_s=2**31)).access_token
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    claims = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=RESOURCE,
        issuer=issuer.name,
        options={"verify_iat": False, "verify_nbf": False},
    )
    assert claims["idtyp"] == "app"


def test_a_token_outlives_a_restart(issuer, directory, clock):
    """The key is stored, so tokens stay valid after a restart of the emulator."""
    token = issuer.issue(RESOURCE).access_token
    again = Issuer(directory, clock=clock)
    again.set_base_url(URL)
    assert again.verify(token, {RESOURCE})
    assert again.header == issuer.header


def test_secrets_are_for_their_owner_alone(issuer, directory):
    """Only the owner of the files can read the key and the secret."""
    issuer.key(), issuer.header
    for name in ("signing-key.pem", "header"):
        assert stat.S_IMODE((directory / "identity" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / "identity").stat().st_mode) == 0o700


def test_a_remembered_token_expires_all_the_same(issuer, clock):
    """A token with a cached signature still expires."""
    token = issuer.issue(RESOURCE, assignment=Assignment(expires_in_s=60)).access_token
    assert issuer.verify(token, {RESOURCE})
    assert flaw_of(issuer, issuer.issue("https://eventhubs.azure.net").access_token) is Flaw.AUDIENCE
    clock.now_s += 120
    assert flaw_of(issuer, token) is Flaw.EXPIRED


def test_an_expired_token_can_be_asked_for(issuer):
    """A token can be issued expired, to test how programs handle expiry."""
    token = issuer.issue(RESOURCE, assignment=Assignment(expires_in_s=-60)).access_token
    assert flaw_of(issuer, token) is Flaw.EXPIRED


def test_an_identity_gets_what_is_assigned_to_it(issuer):
    """An assignment restricts one identity only, until it is removed."""
    issuer.assign("Reader-App", Assignment(roles=(Role.STORAGE_READER,), expires_in_s=300))
    restricted = claims_of(issuer.issue(RESOURCE, "reader-app").access_token)
    assert restricted["roles"] == ["Storage Blob Data Reader"]
    assert restricted["exp"] - restricted["iat"] == 300
    assert len(claims_of(issuer.issue(RESOURCE).access_token)["roles"]) == 2
    issuer.unassign("reader-app")
    assert len(claims_of(issuer.issue(RESOURCE, "reader-app").access_token)["roles"]) == 2


def test_a_token_of_another_key_is_refused(issuer):
    """A token signed with another key is refused, even if it claims our key id."""
    stranger = rsa.generate_private_key(65_537, 2048)
    claims = claims_of(issuer.issue(RESOURCE).access_token)
    for kid in (issuer.key().kid, "another"):
        token = jwt.encode(claims, stranger, "RS256", headers={"kid": kid})
        assert flaw_of(issuer, token) is Flaw.SIGNATURE
    assert flaw_of(issuer, jwt.encode(claims, stranger, "RS256")) is Flaw.SIGNATURE


def test_a_tampered_token_is_refused(issuer):
    """Claims that were changed after signing are refused."""
    header, _, signature = issuer.issue(RESOURCE).access_token.split(".")
    claims = claims_of(issuer.issue(RESOURCE).access_token) | {"exp": 2**40}
    assert flaw_of(issuer, f"{header}.{encoded(claims)}.{signature}") is Flaw.SIGNATURE


def test_a_token_without_a_signature_is_refused(issuer):
    """A token with alg=none is refused."""
    claims = claims_of(issuer.issue(RESOURCE).access_token)
    header = {"alg": "none", "typ": "JWT", "kid": issuer.key().kid}
    assert flaw_of(issuer, f"{encoded(header)}.{encoded(claims)}.") is Flaw.SIGNATURE


def test_the_public_key_is_no_secret_to_sign_with(issuer):
    """A token signed by HMAC with the published key as its secret is refused."""
    public = issuer.key().public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = claims_of(issuer.issue(RESOURCE).access_token)
    unsigned = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer.key().kid})}.{encoded(claims)}"
    signature = jwt.get_algorithm_by_name("HS256").sign(unsigned.encode(), public)
    token = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert flaw_of(issuer, token) is Flaw.SIGNATURE


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "....", "\u00e9.b.c", "x" * 60_000])
def test_what_is_no_token_is_refused(issuer, text):
    """Any text that is no token is refused."""
    assert flaw_of(issuer, text) is Flaw.MALFORMED


def test_a_key_that_is_none_is_named(tmp_path):
    """A damaged key file is an error that names the file and the remedy."""
    issuer = Issuer(tmp_path)
    path = tmp_path / "identity" / "signing-key.pem"
    path.parent.mkdir()
    path.write_text("no key")
    with pytest.raises(NeedsAttention, match=r"signing-key\.pem holds no signing key"):
        issuer.key()
