"""Tokens of an issuer that changes its keys, falls silent, or signs odd claims."""

import json
import time

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.http.auth.signing_keys import MAX_AGE_S, SigningKeys
from shared.http.auth.tokens import REMEMBERED_S, EntraTokens, TokenRequirements
from shared.http.problems import Refusal

HOUR_S = 3_600
AUDIENCE = "api://prices"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An issuer over HTTP, whose published key ids the test chooses; None: it answers 500."""

    def __init__(self):
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._answer_keys)
        self.server = TestServer(app)
        self.kids = ["first"]
        self.fetches = 0

    @property
    def url(self):
        return str(self.server.make_url("")).rstrip("/")

    async def _discovery(self, _request):
        self.fetches += 1
        if self.kids is None:
            raise web.HTTPInternalServerError
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    async def _answer_keys(self, _request):
        published = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return web.json_response({"keys": [{**published, "kid": kid, "use": "sig"} for kid in self.kids]})

    def sign(self, kid="first", **claims):
        made = {"iss": self.url, "aud": AUDIENCE, "sub": "pump", "exp": int(time.time()) + 4 * HOUR_S}
        return jwt.api_jws.encode(
            json.dumps({**made, **claims}).encode(), KEY, algorithm="RS256", headers={"kid": kid}
        )


@pytest.fixture
async def issuer():
    made = Issuer()
    async with made.server:
        yield made


class Gate:
    """A service that checks tokens; `now_s` is its running time, which the test moves."""

    def __init__(self, issuer):
        self.now_s = 0.0
        self.keys = SigningKeys(issuer.url, 5.0, "TOKEN_ISSUER", lambda: self.now_s)
        self.tokens = EntraTokens(TokenRequirements(issuer.url, (AUDIENCE,)), self.keys, lambda: self.now_s)


@pytest.fixture
def gate(issuer):
    return Gate(issuer)


async def test_a_withdrawn_key_ends_within_an_hour(issuer, gate):
    """A token that was accepted before is refused once its key is withdrawn, though it has hours to go."""
    token = issuer.sign()
    assert await gate.tokens.verify(token) == "token:pump"
    issuer.kids = ["second"]
    gate.now_s = HOUR_S
    assert await gate.tokens.verify(token) is None
    assert await gate.tokens.verify(issuer.sign("second")) == "token:pump"


async def test_a_silent_issuer_is_believed_for_less_than_an_hour(issuer, gate):
    """Without an answer from the issuer its keys may have been withdrawn: 503, and not a guess."""
    token = issuer.sign()
    assert await gate.tokens.verify(token) == "token:pump"
    issuer.kids = None
    gate.now_s = MAX_AGE_S - 1
    assert await gate.tokens.verify(token) == "token:pump"
    assert MAX_AGE_S - 1 + REMEMBERED_S <= HOUR_S
    gate.now_s = HOUR_S
    with pytest.raises(Refusal) as refusal:
        await gate.tokens.verify(token)
    assert refusal.value.status == 503
    issuer.kids = ["first"]
    gate.now_s += 5
    assert await gate.tokens.verify(token) == "token:pump"


async def test_a_checked_token_is_remembered_for_minutes(issuer, gate):
    """Requests with the same token cost no signature check, and no fetch."""
    token = issuer.sign()
    for _ in range(3):
        assert await gate.tokens.verify(token) == "token:pump"
    assert issuer.fetches == 1


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ["soon", "", None, [], {}, float("nan"), float("inf"), float("-inf"), 10**400], ids=repr
)
async def test_a_time_that_is_none_is_a_refusal(issuer, gate, claim, value):
    """The token is signed by the issuer, but no claim of it may end in an error of ours."""
    assert await gate.tokens.verify(issuer.sign(**{claim: value})) is None


@pytest.mark.parametrize("value", [True, "4102444800", f"{2**40}"])
async def test_an_expiry_as_text_is_a_refusal(issuer, gate, value):
    """RFC 7519: a NumericDate is a JSON number."""
    assert await gate.tokens.verify(issuer.sign(exp=value)) is None


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "oid", "roles", "scp"])
@pytest.mark.parametrize("value", [None, 1, [], {}, [1], True, "x" * 3000], ids=lambda value: repr(value)[:9])
async def test_no_claim_of_another_type_is_an_error(issuer, gate, name, value):
    """A claim of a type that it never has ends in a refusal, or does not matter."""
    assert await gate.tokens.verify(issuer.sign(**{name: value})) in (None, "token:pump", f"token:{value}")
