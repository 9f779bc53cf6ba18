import asyncio
import time

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import DefaultAzureCredential

SCOPE = "https://eventhubs.azure.net/.default"
CLIENT_ID = "0b9fb2a5-73c9-4dd3-9f5c-1d6c6c6e1a2b"


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


async def test_the_response_is_app_services(azure):
    """The response has App Service's form, with the time as text and the identity's client id."""
    params = {"resource": "https://vault.azure.net", "api-version": "2019-08-01", "client_id": CLIENT_ID}
    status, response = await azure.ask("GET", "/token", params=params)
    assert status == 200
    assert response.keys() == {"access_token", "expires_on", "resource", "client_id", "token_type"}
    assert isinstance(response["expires_on"], str)
    assert (response["resource"], response["client_id"], response["token_type"]) == (
        "https://vault.azure.net",
        CLIENT_ID,
        "Bearer",
    )
    assert claims_of(response["access_token"])["aud"] == "https://vault.azure.net"


async def test_the_default_credential_finds_it(azure):
    """DefaultAzureCredential needs only the two variables."""
    async with DefaultAzureCredential() as credential:
        token = await credential.get_token(SCOPE)
    assert token.expires_on > time.time() + 3600
    assert claims_of(token.token)["iss"] == azure.issuer.name


async def test_a_user_assigned_identity_is_asked_for_by_client_id(azure, monkeypatch):
    """AZURE_CLIENT_ID selects the identity, and each can have fewer roles."""
    restricted = {"roles": ["Azure Event Hubs Data Receiver"], "expires_in_s": 900}
    assert await azure.ask("PUT", f"/principals/{CLIENT_ID}", json=restricted) == (200, restricted)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT_ID)
    async with DefaultAzureCredential() as credential:
        claims = claims_of((await credential.get_token(SCOPE)).token)
    assert claims["appid"] == CLIENT_ID
    assert claims["roles"] == ["Azure Event Hubs Data Receiver"]
    assert await azure.ask("DELETE", f"/principals/{CLIENT_ID}") == (204, None)
    async with DefaultAzureCredential() as credential:
        assert len(claims_of((await credential.get_token(SCOPE)).token)["roles"]) == 2


@pytest.mark.parametrize("header", ["", "wrong", "\u00e9"])
async def test_without_the_secret_there_is_no_token(azure, header):
    """A request without the secret, such as a browser's, gets no token."""
    for method, path in (
        ("GET", "/token?resource=a&api-version=2019-08-01"),
        ("POST", "/tokens"),
        ("PUT", "/principals/a"),
        ("DELETE", "/principals/a"),
    ):
        status, response = await azure.ask(method, path, header=header)
        assert status == 401
        assert response["statusCode"] == 401
        assert "access_token" not in response


async def test_a_wrong_secret_is_the_credentials_error(azure, monkeypatch):
    """With a wrong secret the SDK reports that the identity is unavailable, and why."""
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with ManagedIdentityCredential() as credential, pytest.raises(ClientAuthenticationError) as refused:
        await asyncio.to_thread(credential.get_token, SCOPE)
    assert "X-IDENTITY-HEADER" in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "resource=https://storage.azure.com",
        "resource=https://storage.azure.com&api-version=2017-09-01",
        "api-version=2019-08-01",
        "resource=&api-version=2019-08-01",
        f"resource={'x' * 2000}&api-version=2019-08-01",
    ],
)
async def test_what_is_asked_wrongly_is_refused(azure, query):
    """Another API version, or a missing resource, is a bad request."""
    status, response = await azure.ask("GET", f"/token?{query}")
    assert (status, response["statusCode"]) == (400, 400)


@pytest.mark.parametrize("body", ["", "{}", '{"resource":"a","roles":["Emperor"]}', '{"resource":"a","x":1}'])
async def test_a_wrong_wish_is_refused(azure, body):
    """A misspelt role is an error, not an identity without roles."""
    status, _ = await azure.ask("POST", "/tokens", data=body)
    assert status == 400


async def test_others_verify_tokens_by_discovery(azure):
    """A service that verifies Entra ID's tokens verifies these with another issuer URL."""
    _, described = await azure.ask("GET", "/.well-known/openid-configuration", header="")
    assert described["issuer"] == azure.issuer.name
    _, published = await azure.ask("GET", "/keys", header="")
    wish = {"resource": "api://scorer", "expires_in_s": 600}
    _, issued = await azure.ask("POST", "/tokens", json=wish)
    key = jwt.PyJWKSet.from_dict(published)[jwt.get_unverified_header(issued["access_token"])["kid"]]
    claims = jwt.decode(
        issued["access_token"],
        key,
        algorithms=["RS256"],
        audience="api://scorer",
        issuer=described["issuer"],
        leeway=5,
    )
    assert claims["exp"] - claims["iat"] == 600
