"""Tokens of the emulator's issuer, which signs like Entra ID."""

import asyncio
import time

import jwt
import pytest

from services.emulator.admin.server import AdminServer
from services.emulator.identity.issuer import Assignment, Issuer
from services.emulator.identity.keys import ALGORITHM
from services.emulator.identity.roles import Role
from shared.http.auth.tokens import TokenRequirements
from tests.support.notes_app import NOTE, bearer

AUDIENCE = "api://fleetprice"
CLIENT = "0b9fb2a5-73c9-4dd3-9f5c-1d6c6c6e1a2b"
ROLE = Role.STORAGE_READER


@pytest.fixture(scope="session")
def key_dirs(tmp_path_factory):
    """Two signing keys, each made once, because that takes long."""
    return [tmp_path_factory.mktemp("issuer") for _ in range(2)]


@pytest.fixture
async def admin(world, key_dirs):
    async with AdminServer(world.hub, world.storage, issuer=Issuer(key_dirs[0])) as admin:
        yield admin


@pytest.fixture
def issuer(admin):
    return admin._issuer


@pytest.fixture
async def guarded(serving, issuer):
    async with serving(tokens=TokenRequirements(issuer.name, ("other", AUDIENCE)), key=None) as http:
        yield http


def token_of(issuer, audience=AUDIENCE, name=CLIENT, **assignment):
    return issuer.issue(audience, name, Assignment(**assignment)).access_token


def forged(issuer, key, **claims):
    """Return a token with other `claims` than the issuer gives, signed with `key`."""
    usual = jwt.decode(token_of(issuer), options={"verify_signature": False})
    changed = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(changed, key, ALGORITHM, headers={"kid": issuer.key().kid})


async def test_a_token_for_this_service_is_accepted(guarded, issuer):
    """A caller with a token of the issuer for one of our audiences is served; a key still works."""
    for _ in range(2):
        assert (await guarded.post(NOTE, **bearer(token_of(issuer)))).status == 200
    assert (await guarded.post(NOTE, **bearer("a-key"))).status == 200


async def test_tokens_that_prove_nothing_are_refused(guarded, issuer, key_dirs):
    """A token of another audience, issuer or key, expired, not valid yet or unsigned is 401."""
    stranger = Issuer(key_dirs[1]).key().private
    own = issuer.key().private
    good = token_of(issuer)
    head, claims, signature = good.split(".")
    for token in (
        token_of(issuer, "https://storage.azure.com"),
        token_of(issuer, expires_in_s=-3_600),
        forged(issuer, stranger),
        forged(issuer, own, iss="https://sts.windows.net/other/"),
        forged(issuer, own, nbf=time.time() + 3_600),
        forged(issuer, own, exp=None),
        forged(issuer, own, oid=None, sub=None),
        jwt.encode({"aud": AUDIENCE, "iss": issuer.name, "exp": time.time() + 60}, None, "none"),
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"e{head}.{claims}.{signature}",
        good + "." + signature,
        "eyJ." + "x" * 7_000 + ".",
    ):
        response = await guarded.post(NOTE, **bearer(token))
        assert response.status == 401, token
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert (await guarded.post(NOTE, **bearer(good))).status == 200


async def test_an_expired_token_is_not_remembered_as_good(guarded, issuer):
    """A token that was accepted before is refused one minute after it has expired."""
    for left_s in (2, 10, 30):  # a slow machine needs more to get it accepted first
        short = token_of(issuer, expires_in_s=left_s - 60)
        if (await guarded.post(NOTE, **bearer(short))).status == 200:
            break
    else:
        pytest.fail("a token in force was not accepted")
    async with asyncio.timeout(60):
        while (await guarded.post(NOTE, **bearer(short))).status != 401:
            pass


async def test_a_role_is_asked_for(serving, issuer):
    """If a role is set, a token without it is 403, and one with it or with the scope is served."""
    required = TokenRequirements(issuer.name, (AUDIENCE,), ROLE, "price")
    async with serving(tokens=required, key=None) as http:
        own = issuer.key().private
        for token, status in (
            (token_of(issuer, roles=[ROLE]), 200),
            (token_of(issuer, roles=[]), 403),
            (forged(issuer, own, roles=None, scp="other price"), 200),
            (forged(issuer, own, roles=None, scp="pricelist"), 403),
            (forged(issuer, own, roles=ROLE), 403),
        ):
            assert (await http.post(NOTE, **bearer(token))).status == status


async def test_the_issuers_new_key_is_fetched(serving, world, key_dirs):
    """A token signed with a new key of the issuer is accepted without a restart."""
    issuer = Issuer(key_dirs[0])
    async with AdminServer(world.hub, world.storage, issuer=issuer) as admin:
        required = TokenRequirements(issuer.name, (AUDIENCE,))
        async with serving(tokens=required, key_interval_s=0.01, key=None) as http:
            assert (await http.post(NOTE, **bearer(token_of(issuer)))).status == 200
            fresh = Issuer(key_dirs[1])
            issuer._key = fresh.key()  # as a restart with another data directory would
            async with asyncio.timeout(60):
                while (await http.post(NOTE, **bearer(token_of(issuer)))).status != 200:
                    pass
            del admin


async def test_an_unavailable_issuer_is_no_fault_of_the_caller(serving, issuer, admin):
    """Until the issuer's keys were fetched once, its tokens are 503, not 401; API keys work."""
    token = token_of(issuer)
    await admin.__aexit__(None, None, None)
    async with serving(tokens=TokenRequirements(issuer.name, (AUDIENCE,)), key=None) as http:
        response = await http.post(NOTE, **bearer(token))
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await http.post(NOTE, **bearer("a-key"))).status == 200
