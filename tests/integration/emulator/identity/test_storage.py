import asyncio

import aiohttp
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.identity import aio as identity_aio
from azure.storage.blob import BlobServiceClient
from azure.storage.blob import aio as blob_aio
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.identity.issuer import Assignment
from services.emulator.identity.roles import Role

RESOURCE = "https://storage.azure.com/"


class OneToken:
    """A credential that always returns the same token."""

    def __init__(self, text):
        self.text = text
        self.scopes = []

    async def get_token(self, *scopes, **_options):
        self.scopes.append(scopes)
        return AccessToken(self.text, 2**31)


def blobs(azure, credential):
    return blob_aio.BlobServiceClient(
        azure.account_url, credential=credential, connection_verify=azure.ca, retry_total=0
    )


def lake(azure, credential):
    return DataLakeServiceClient(
        azure.account_url, credential=credential, connection_verify=azure.ca, retry_total=0
    )


async def refusal_of(request):
    with pytest.raises(HttpResponseError) as refused:
        await request
    return refused.value


async def test_the_default_credential_reads_and_writes(azure):
    """Clients that sign in with DefaultAzureCredential work as with Azure."""
    async with identity_aio.DefaultAzureCredential() as credential:
        async with blobs(azure, credential) as service:
            await service.get_blob_client("lake", "a").upload_blob(b"abc")
            assert [item.name async for item in service.list_containers()] == ["checkpoints", "lake"]
        async with lake(azure, credential) as service:
            file = service.get_file_system_client("lake").get_file_client("a")
            renamed = await file.rename_file("lake/b")
            assert await (await renamed.download_file()).readall() == b"abc"


async def test_the_synchronous_client_does_too(azure):
    """So does the synchronous client."""

    def tour():
        with (
            DefaultAzureCredential() as credential,
            BlobServiceClient(
                azure.account_url, credential=credential, connection_verify=azure.ca
            ) as service,
        ):
            blob = service.get_blob_client("checkpoints", "a")
            blob.upload_blob(b"abc")
            return blob.download_blob().readall()

    assert await asyncio.to_thread(tour) == b"abc"


async def test_a_token_over_plain_http_is_refused(azure):
    """A token over plain http is refused."""
    token = azure.issuer.issue(RESOURCE).access_token
    url = azure.account_url.replace("https:", "http:")
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/lake/a", headers=headers) as response:
        assert (response.status, response.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
        assert "over http" in await response.text()


@pytest.mark.parametrize(
    ("resource", "expires_in_s", "detail"),
    [
        (RESOURCE, -60, "Lifetime validation failed. The token is expired."),
        ("https://eventhubs.azure.net/", 60, "Audience validation failed. Audience did not match."),
    ],
)
async def test_an_invalid_token_is_challenged(azure, resource, expires_in_s, detail):
    """The SDK reads the challenge, gets a token for the resource in it, and retries once."""
    issued = azure.issuer.issue(resource, assignment=Assignment(expires_in_s=expires_in_s))
    credential = OneToken(issued.access_token)
    async with blobs(azure, credential) as service:
        refused = await refusal_of(service.get_blob_client("lake", "a").upload_blob(b""))
    assert (refused.status_code, refused.error_code) == (401, "InvalidAuthenticationInfo")
    assert detail in str(refused)
    assert credential.scopes == [("https://storage.azure.com/.default",)] * 2


async def test_a_signature_is_not_believed_unseen(azure):
    """A token with one changed letter is refused."""
    token = azure.issuer.issue(RESOURCE).access_token
    changed = "B" if token[-9] == "A" else "A"
    async with blobs(azure, OneToken(f"{token[:-9]}{changed}{token[-8:]}")) as service:
        refused = await refusal_of(service.get_blob_client("lake", "a").upload_blob(b""))
    assert refused.status_code == 401
    assert "Signature validation failed" in str(refused)


async def test_roles_are_what_an_identity_may_do(azure):
    """A reader reads, a contributor writes, and only an owner changes permissions."""

    async def client_for(*roles):
        issued = azure.issuer.issue(RESOURCE, assignment=Assignment(roles=roles))
        return lake(azure, OneToken(issued.access_token))

    async def code_of(request):
        return (await refusal_of(request)).error_code

    async with await client_for(Role.STORAGE_CONTRIBUTOR) as service:
        file = service.get_file_system_client("lake").get_file_client("a")
        await file.upload_data(b"abc", overwrite=True)
        refused = await code_of(file.set_access_control(permissions="rwx------"))
        assert refused == "AuthorizationPermissionMismatch"
    async with await client_for(Role.STORAGE_READER) as service:
        file = service.get_file_system_client("lake").get_file_client("a")
        assert await (await file.download_file()).readall() == b"abc"
        assert await code_of(file.create_file()) == "AuthorizationPermissionMismatch"
        assert await code_of(file.delete_file()) == "AuthorizationPermissionMismatch"
    async with await client_for(Role.STORAGE_OWNER) as service:
        file = service.get_file_system_client("lake").get_file_client("a")
        await file.set_access_control(permissions="rwx------")
    for roles in ((), (Role.EVENT_HUBS_OWNER,), (Role.STORAGE_DELEGATOR,)):
        async with await client_for(*roles) as service:
            file = service.get_file_system_client("lake").get_file_client("a")
            refused = await refusal_of(file.get_file_properties())
            assert (refused.status_code, refused.error_code) == (403, "AuthorizationPermissionMismatch")
