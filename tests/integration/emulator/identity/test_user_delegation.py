from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import generate_blob_sas, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.filedatalake import generate_directory_sas
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.identity.issuer import Assignment
from services.emulator.identity.roles import Role

ACCOUNT = "devstoreaccount1"
HOUR = timedelta(hours=1)


class OneToken:
    """A credential that always returns the same token."""

    def __init__(self, text):
        self.text = text

    async def get_token(self, *_scopes, **_options):
        return AccessToken(self.text, 2**31)


def service(azure, credential):
    options = {"credential": credential, "connection_verify": azure.ca, "retry_total": 0}
    return BlobServiceClient(azure.account_url, **options)


def identity(azure, *roles):
    assignment = Assignment(roles=roles)
    return OneToken(azure.issuer.issue("https://storage.azure.com/", assignment=assignment).access_token)


async def key_of(azure, *roles, start=None, expiry=None):
    now = datetime.now(UTC)
    async with service(azure, identity(azure, *roles)) as blobs:
        return await blobs.get_user_delegation_key(start or now - HOUR, expiry or now + HOUR)


def sas(key, permission="rw", **options):
    expiry = datetime.now(UTC) + HOUR
    return generate_container_sas(
        ACCOUNT, "lake", user_delegation_key=key, permission=permission, expiry=expiry, **options
    )


async def refusal_of(request):
    with pytest.raises(HttpResponseError) as refused:
        await request
    return refused.value.status_code, refused.value.error_code


async def test_an_identity_delegates_what_it_has(azure):
    """A user delegation SAS reads and writes without key or token."""
    token = sas(await key_of(azure, Role.STORAGE_CONTRIBUTOR), protocol="https")
    async with service(azure, token) as blobs:
        blob = blobs.get_blob_client("lake", "a")
        await blob.upload_blob(b"abc")
        assert await (await blob.download_blob()).readall() == b"abc"
        other = await refusal_of(blobs.get_blob_client("checkpoints", "a").upload_blob(b""))
        assert other == (403, "AuthenticationFailed")


async def test_a_directory_is_delegated(azure):
    """A user delegation SAS can be restricted to a folder."""
    key = await key_of(azure, Role.STORAGE_OWNER)
    expiry = datetime.now(UTC) + HOUR
    token = generate_directory_sas(ACCOUNT, "lake", "mine", key, permission="racwdlm", expiry=expiry)
    async with DataLakeServiceClient(
        azure.account_url, credential=token, connection_verify=azure.ca
    ) as service:
        lake = service.get_file_system_client("lake")
        await lake.get_file_client("mine/a").upload_data(b"abc", overwrite=True)
        assert (await refusal_of(lake.get_file_client("theirs/a").create_file()))[0] == 403


async def test_an_identity_delegates_no_more_than_it_has(azure):
    """A SAS allows no more than its signer's roles; a delegator's allows nothing."""
    async with service(azure, sas(await key_of(azure, Role.STORAGE_OWNER))) as blobs:
        await blobs.get_blob_client("lake", "a").upload_blob(b"abc")
    async with service(azure, sas(await key_of(azure, Role.STORAGE_READER))) as blobs:
        blob = blobs.get_blob_client("lake", "a")
        assert await (await blob.download_blob()).readall() == b"abc"
        assert await refusal_of(blob.delete_blob()) == (403, "AuthorizationPermissionMismatch")
    async with service(azure, sas(await key_of(azure, Role.STORAGE_DELEGATOR))) as blobs:
        refused = await refusal_of(blobs.get_blob_client("lake", "a").get_blob_properties())
        assert refused == (403, "AuthorizationPermissionMismatch")


async def test_a_key_is_for_its_time_and_for_what_it_says(azure):
    """A SAS ends with its key at the latest, and a changed key signs nothing."""
    key = await key_of(azure, Role.STORAGE_OWNER)
    later = await key_of(azure, Role.STORAGE_OWNER, start=datetime.now(UTC) + HOUR / 2)
    key_of_another = await key_of(azure, Role.STORAGE_OWNER)
    key_of_another.signed_oid = "6f1fa77c-2f0c-4e0b-8a4a-0d6f2a0f4a11"
    for token in (sas(later), sas(key_of_another), sas(key, correlation_id="x").replace("scid=x", "scid=y")):
        async with service(azure, token) as blobs:
            refused = await refusal_of(blobs.get_blob_client("lake", "a").upload_blob(b""))
            assert refused == (403, "AuthenticationFailed")


async def test_only_an_identity_gets_a_key(azure):
    """A key needs a bearer token and a storage role."""
    now = datetime.now(UTC)
    async with BlobServiceClient.from_connection_string(azure.storage.connection_string) as blobs:
        refused = await refusal_of(blobs.get_user_delegation_key(now, now + HOUR))
        assert refused == (403, "AuthenticationFailed")
    refused = await refusal_of(key_of(azure, Role.EVENT_HUBS_OWNER))
    assert refused == (403, "AuthorizationPermissionMismatch")


@pytest.mark.parametrize("days", [-1, 8])
async def test_a_key_lasts_a_week_at_most(azure, days):
    """A validity that has ended, or exceeds seven days, is refused."""
    expiry = datetime.now(UTC) + timedelta(days=days)
    refused = await refusal_of(
        key_of(azure, Role.STORAGE_OWNER, start=expiry - timedelta(days=9), expiry=expiry)
    )
    assert refused == (400, "InvalidXmlNodeValue")


async def test_signatures_bound_to_more_are_refused(azure):
    """A SAS bound to another user's token, which is not supported, is refused."""
    key = await key_of(azure, Role.STORAGE_OWNER)
    token = generate_blob_sas(
        ACCOUNT,
        "lake",
        "a",
        user_delegation_key=key,
        permission="rw",
        expiry=datetime.now(UTC) + HOUR,
        user_delegation_oid="6f1fa77c-2f0c-4e0b-8a4a-0d6f2a0f4a11",
    )
    async with service(azure, token) as blobs:
        refused = await refusal_of(blobs.get_blob_client("lake", "a").upload_blob(b""))
        assert refused == (403, "AuthenticationFailed")
