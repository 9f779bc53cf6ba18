import base64
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.filedatalake import generate_directory_sas
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY
from services.emulator.storage.server import StorageServer

HOUR = timedelta(hours=1)


def account_url(storage):
    return f"http://127.0.0.1:{storage.port}/{WELL_KNOWN_ACCOUNT}"


def client(storage):
    return BlobServiceClient.from_connection_string(storage.connection_string)


def in_an_hour():
    return datetime.now(UTC) + HOUR


@pytest.mark.parametrize("is_existing", [False, True])
async def test_a_sas_that_may_create_does_not_overwrite(storage, is_existing):
    """`c` writes a new blob, by every way; over an existing one it needs `w`."""
    path = "there" if is_existing else "new"
    async with client(storage) as service:
        await service.get_blob_client("lake", "there").upload_blob(b"kept")
        await service.get_blob_client("lake", "source").upload_blob(b"source")

    def sign(name, letters):
        return generate_blob_sas(
            WELL_KNOWN_ACCOUNT,
            "lake",
            name,
            account_key=WELL_KNOWN_KEY,
            permission=letters,
            expiry=in_an_hour(),
        )

    source = f"{account_url(storage)}/lake/source?{sign('source', 'r')}"
    ways = {
        "put": lambda blob: blob.upload_blob(b"changed", overwrite=True),
        "blocks": lambda blob: blob.upload_blob(b"changed" * 1024, overwrite=True),
        "append": lambda blob: blob.create_append_blob(),
        "copy": lambda blob: blob.start_copy_from_url(source),
        "from URL": lambda blob: blob.upload_blob_from_url(source, overwrite=True),
    }
    for number, (way, change) in enumerate(ways.items()):
        name = path if is_existing else f"{path}{number}"
        limited = BlobServiceClient(account_url(storage), sign(name, "c"), max_single_put_size=1024)
        async with limited:
            blob = limited.get_blob_client("lake", name)
            if is_existing:
                assert await code_of(change(blob)) == (403, "UnauthorizedBlobOverwrite"), way
            else:
                await change(blob)
    async with client(storage) as service:
        kept = await service.get_blob_client("lake", "there").download_blob()
        assert await kept.readall() == b"kept"


async def code_of(request):
    with pytest.raises(HttpResponseError) as refused:
        await request
    return refused.value.status_code, refused.value.error_code


async def test_another_key_is_refused(storage):
    """A request signed with another key is refused."""
    key = base64.b64encode(b"not the key").decode()
    credential = {"account_name": WELL_KNOWN_ACCOUNT, "account_key": key}
    async with DataLakeServiceClient(account_url(storage), credential) as service:
        file = service.get_file_system_client("lake").get_file_client("a")
        with pytest.raises(ClientAuthenticationError) as refused:
            await file.create_file()
        assert (refused.value.status_code, refused.value.error_code) == (403, "AuthenticationFailed")
        with pytest.raises(ClientAuthenticationError):
            await file.get_file_properties()


async def test_another_account_is_refused(storage):
    """A request that names another account is refused."""
    credential = {"account_name": "somebody", "account_key": WELL_KNOWN_KEY}
    async with BlobServiceClient(account_url(storage), credential) as service:
        blob = service.get_blob_client("checkpoints", "a")
        assert await code_of(blob.upload_blob(b"")) == (403, "AuthenticationFailed")


async def test_no_key_at_all_is_refused(storage):
    """A request without authorization is refused: there is no public access."""
    async with BlobServiceClient(account_url(storage)) as service:
        blob = service.get_blob_client("checkpoints", "a")
        assert (await code_of(blob.upload_blob(b"")))[0] == 401


@pytest.mark.parametrize("ahead", [-20, 20])
async def test_a_clock_off_by_twenty_minutes_is_refused(tmp_path, ahead):
    """A request signed 20 minutes in the past or future is refused as a possible replay."""
    now_s = datetime.now(UTC).timestamp() - ahead * 60
    async with StorageServer(tmp_path, clock=lambda: now_s) as storage, client(storage) as service:
        blob = service.get_blob_client("checkpoints", "a")
        assert await code_of(blob.upload_blob(b"")) == (403, "AuthenticationFailed")


async def test_a_clock_off_by_ten_minutes_is_accepted(tmp_path):
    """A clock that is off by less than 15 minutes is accepted."""
    now_s = datetime.now(UTC).timestamp() - 600
    async with StorageServer(tmp_path, clock=lambda: now_s) as storage, client(storage) as service:
        await service.get_blob_client("checkpoints", "a").upload_blob(b"")


async def test_account_sas(storage, write):
    """An account SAS allows its permissions and nothing else."""
    await write("a", b"abc")
    token = generate_account_sas(
        WELL_KNOWN_ACCOUNT,
        WELL_KNOWN_KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        in_an_hour(),
    )
    async with BlobServiceClient(account_url(storage), credential=token) as service:
        container = service.get_container_client("lake")
        assert [blob.name async for blob in container.list_blobs()] == ["a"]
        assert await (await container.download_blob("a")).readall() == b"abc"
        refused = await code_of(container.upload_blob("b", b""))
        assert refused == (403, "AuthorizationPermissionMismatch")
        refused = await code_of(service.get_account_information())
        assert refused == (403, "AuthorizationResourceTypeMismatch")


async def test_container_sas(storage, write):
    """A container SAS gives no access to another container."""
    await write("a", b"abc")
    permission = ContainerSasPermissions(read=True, write=True, list=True)
    token = generate_container_sas(
        WELL_KNOWN_ACCOUNT, "lake", account_key=WELL_KNOWN_KEY, permission=permission, expiry=in_an_hour()
    )
    async with BlobServiceClient(account_url(storage), credential=token) as service:
        await service.get_blob_client("lake", "b").upload_blob(b"from a token")
        other = service.get_blob_client("checkpoints", "b").upload_blob(b"")
        assert await code_of(other) == (403, "AuthenticationFailed")


async def test_sas_of_one_blob(storage, write):
    """A blob SAS gives access to its blob until it expires."""
    await write("a b/c=d", b"abc")
    await write("other", b"abc")

    def token(expiry, **options):
        return generate_blob_sas(
            WELL_KNOWN_ACCOUNT,
            "lake",
            "a b/c=d",
            account_key=WELL_KNOWN_KEY,
            permission="r",
            expiry=expiry,
            **options,
        )

    async def read(token, name="a b/c=d"):
        async with BlobServiceClient(account_url(storage), credential=token) as service:
            return await (await service.get_blob_client("lake", name).download_blob()).readall()

    assert await read(token(in_an_hour())) == b"abc"
    assert await read(token(in_an_hour(), start=datetime.now(UTC) - HOUR)) == b"abc"
    assert (await code_of(read(token(in_an_hour()), "other")))[0] == 403
    assert (await code_of(read(token(datetime.now(UTC) - HOUR))))[0] == 403
    assert (await code_of(read(token(in_an_hour(), start=datetime.now(UTC) + HOUR / 2))))[0] == 403
    assert (await code_of(read(token(in_an_hour(), ip="10.0.0.1"))))[1] == "AuthorizationSourceIPMismatch"
    assert (await code_of(read(token(in_an_hour(), protocol="https"))))[1] == "AuthorizationProtocolMismatch"
    assert await read(token(in_an_hour(), ip="127.0.0.0-127.0.0.9")) == b"abc"


async def test_directory_sas(storage, write):
    """A directory SAS gives access to everything below it, renames included."""
    await write("mine/a", b"abc")
    await write("theirs/a", b"abc")
    token = generate_directory_sas(
        WELL_KNOWN_ACCOUNT, "lake", "mine", WELL_KNOWN_KEY, permission="racwdlm", expiry=in_an_hour()
    )
    async with DataLakeServiceClient(account_url(storage), credential=token) as service:
        lake = service.get_file_system_client("lake")
        renamed = await lake.get_file_client("mine/a").rename_file("lake/mine/b")
        assert await (await renamed.download_file()).readall() == b"abc"
        refused = await code_of(lake.get_file_client("theirs/a").get_file_properties())
        assert refused[0] == 403


async def test_a_sas_covers_the_source_of_a_rename(storage, write):
    """A directory SAS cannot rename a file out of another directory."""
    await write("mine/a", b"abc")
    await write("theirs/secret", b"abc")
    token = generate_directory_sas(
        WELL_KNOWN_ACCOUNT, "lake", "mine", WELL_KNOWN_KEY, permission="racwdlm", expiry=in_an_hour()
    )
    async with DataLakeServiceClient(account_url(storage), credential=token) as service:
        lake = service.get_file_system_client("lake")
        refused = await code_of(lake.get_file_client("theirs/secret").rename_file("lake/mine/stolen"))
        assert refused[0] == 403
