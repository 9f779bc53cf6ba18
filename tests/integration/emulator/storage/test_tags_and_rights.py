from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    AccessPolicy,
    BlobSasPermissions,
    ContainerSasPermissions,
    StandardBlobTier,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY
from services.emulator.storage.server import StorageServer


async def test_tags_and_tier_are_kept(blobs):
    """Tags and tier are returned unchanged; they change neither etag nor content."""
    blob = await blobs.upload_blob(
        "a", b"abc", tags={"team": "pricing"}, standard_blob_tier=StandardBlobTier.COOL
    )
    before = await blob.get_blob_properties()
    assert (before.blob_tier, before.tag_count) == ("Cool", 1)
    await blob.set_blob_tags({"team": "lake", "cost centre": "12/3"})
    await blob.set_standard_blob_tier(StandardBlobTier.COLD)
    after = await blob.get_blob_properties()
    assert await blob.get_blob_tags() == {"team": "lake", "cost centre": "12/3"}
    assert (after.blob_tier, after.etag) == ("Cold", before.etag)
    (listed,) = [found async for found in blobs.list_blobs(include=["tags"])]
    assert (listed.blob_tier, listed.tags) == ("Cold", {"team": "lake", "cost centre": "12/3"})
    with pytest.raises(HttpResponseError) as refused:
        await blob.set_standard_blob_tier("Archive")
    assert (refused.value.status_code, refused.value.error_code) == (501, "NotImplemented")
    with pytest.raises(HttpResponseError) as refused:
        await blob.set_blob_tags({"no&good": "x"})
    assert refused.value.error_code == "InvalidTag"


async def test_many_blobs_are_deleted_in_one_request(blobs):
    """Each part of a batch has its own response: a missing blob does not affect the others."""
    for name in ("a", "b/c d", "ü"):
        await blobs.upload_blob(name, b"")
    responses = await blobs.delete_blobs("a", "none", "b/c d", "ü", raise_on_any_failure=False)
    assert [response.status_code async for response in responses] == [202, 404, 202, 202]
    assert [blob.name async for blob in blobs.list_blobs()] == ["b"]
    await blobs.upload_blob("a", b"")
    await blobs.set_standard_blob_tier_blobs("Cool", "a")
    assert (await blobs.get_blob_client("a").get_blob_properties()).blob_tier == "Cool"


async def test_a_batch_needs_a_key_for_every_part(storage, blobs):
    """Every part of a batch needs authorization of its own."""
    await blobs.upload_blob("mine", b"")
    await blobs.upload_blob("theirs", b"")
    expiry = datetime.now(UTC) + timedelta(hours=1)
    token = generate_container_sas(
        WELL_KNOWN_ACCOUNT,
        "checkpoints",
        account_key=WELL_KNOWN_KEY,
        permission=ContainerSasPermissions(read=True),
        expiry=expiry,
    )
    url = f"http://127.0.0.1:{storage.port}/{WELL_KNOWN_ACCOUNT}"
    async with BlobServiceClient(url, credential=token) as service:
        container = service.get_container_client("checkpoints")
        responses = await container.delete_blobs("mine", "theirs", raise_on_any_failure=False)
        assert [response.status_code async for response in responses] == [403, 403]
    assert [blob.name async for blob in blobs.list_blobs()] == ["mine", "theirs"]


async def test_copies_from_urls(blobs):
    """Bytes are copied from another blob of the account, whole or in part, under its conditions."""
    source = await blobs.upload_blob("source", b"0123456789", metadata={"k": "v"}, tags={"t": "1"})
    put = blobs.get_blob_client("put")
    await put.upload_blob_from_url(source.url)
    assert await (await put.download_blob()).readall() == b"0123456789"
    assert (await put.get_blob_properties()).metadata == {"k": "v"}
    copied = await blobs.get_blob_client("sync").start_copy_from_url(source.url, requires_sync=True)
    assert copied["copy_status"] == "success"
    staged = blobs.get_blob_client("staged")
    await staged.stage_block_from_url("YQ==", source.url, source_offset=8, source_length=2)
    await staged.stage_block_from_url("Yg==", source.url, source_offset=0, source_length=3)
    await staged.commit_block_list(["YQ==", "Yg=="])
    assert await (await staged.download_blob()).readall() == b"89012"
    log = blobs.get_blob_client("log")
    await log.create_append_blob()
    await log.append_block_from_url(source.url, source_offset=4, source_length=4)
    assert await (await log.download_blob()).readall() == b"4567"
    with pytest.raises(HttpResponseError) as refused:
        await put.upload_blob_from_url("http://elsewhere.example/devstoreaccount1/checkpoints/source")
    assert refused.value.error_code == "CannotVerifyCopySource"
    with pytest.raises(HttpResponseError) as refused:
        await put.abort_copy("11111111-1111-1111-1111-111111111111")
    assert (refused.value.status_code, refused.value.error_code) == (409, "NoPendingCopyOperation")


async def test_a_file_goes_when_its_time_has_come(tmp_path):
    """An expiry survives a restart, and removes only its file."""
    time_s = [datetime.now(UTC).timestamp()]

    @asynccontextmanager
    async def opened():
        async with StorageServer(tmp_path, clock=lambda: time_s[0]) as storage:
            service = DataLakeServiceClient.from_connection_string(storage.connection_string)
            async with service, service.get_file_system_client("lake") as lake:
                yield lake

    async with opened() as lake:
        await lake.get_file_client("b").create_file()
        await lake.get_file_client("a").create_file()
        await lake.get_file_client("a").set_file_expiry("RelativeToNow", expires_on=600_000)
        time_s[0] += 500
        assert await lake.get_file_client("a").exists()
    async with opened() as lake:
        assert await lake.get_file_client("a").exists()
        time_s[0] += 101
        with pytest.raises(ResourceNotFoundError):
            await lake.get_file_client("a").get_file_properties()
        assert [path.name async for path in lake.get_paths()] == ["b"]


async def test_rights_are_set_for_all_that_lies_below(lake, write):
    """A recursive change reaches every file and folder, in several pages if needed."""
    for name in ("d/a", "d/sub/b", "d/sub/c", "other"):
        await write(name, b"")
    directory = lake.get_directory_client("d")
    done = await directory.set_access_control_recursive("user::rwx,group::r-x,other::---", batch_size=2)
    assert (done.counters.directories_successful, done.counters.files_successful) == (2, 3)
    await directory.update_access_control_recursive("user:someone:r--,default:user:someone:r--")
    rights = await lake.get_file_client("d/sub/b").get_access_control()
    assert rights["acl"] == "user::rwx,group::r-x,other::---,user:someone:r--"
    assert rights["permissions"] == "rwxr-x---+"
    rights = await lake.get_directory_client("d/sub").get_access_control()
    assert "default:user:someone:r--" in rights["acl"]
    await directory.remove_access_control_recursive("user:someone")
    rights = await lake.get_file_client("d/sub/b").get_access_control()
    assert (rights["acl"], rights["permissions"]) == ("user::rwx,group::r-x,other::---", "rwxr-x---")
    assert "someone" not in (await lake.get_file_client("other").get_access_control())["acl"]
    with pytest.raises(HttpResponseError) as refused:
        await directory.set_access_control_recursive("everybody::rwx")
    assert refused.value.status_code == 400


async def test_a_stored_policy_is_withdrawn(storage, blobs):
    """Tokens that reference a policy end with it; others stay valid."""
    await blobs.upload_blob("a", b"abc")
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    policy = AccessPolicy(permission=ContainerSasPermissions(read=True), expiry=in_an_hour)
    await blobs.set_container_access_policy({"readers": policy})
    assert [found.id for found in (await blobs.get_container_access_policy())["signed_identifiers"]] == [
        "readers"
    ]
    token = generate_blob_sas(
        WELL_KNOWN_ACCOUNT, "checkpoints", "a", account_key=WELL_KNOWN_KEY, policy_id="readers"
    )
    doubled = generate_blob_sas(
        WELL_KNOWN_ACCOUNT,
        "checkpoints",
        "a",
        account_key=WELL_KNOWN_KEY,
        policy_id="readers",
        permission=BlobSasPermissions(write=True),
    )
    url = f"http://127.0.0.1:{storage.port}/{WELL_KNOWN_ACCOUNT}"

    async def read(token):
        async with BlobServiceClient(url, credential=token) as service:
            return await (await service.get_blob_client("checkpoints", "a").download_blob()).readall()

    assert await read(token) == b"abc"
    with pytest.raises(ClientAuthenticationError):
        await read(doubled)
    await blobs.set_container_access_policy({})
    with pytest.raises(ClientAuthenticationError):
        await read(token)
    with pytest.raises(HttpResponseError) as refused:
        await blobs.set_container_access_policy({}, public_access="container")
    assert refused.value.error_code == "PublicAccessNotPermitted"


async def test_conditions_on_containers_and_leases(blobs, lake):
    """A container or blob changed since the given time is neither deleted nor leased."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(HttpResponseError) as refused:
        await blobs.delete_container(if_unmodified_since=long_ago)
    assert (refused.value.status_code, refused.value.error_code) == (412, "ConditionNotMet")
    blob = await blobs.upload_blob("a", b"")
    with pytest.raises(HttpResponseError) as refused:
        await blob.acquire_lease(15, if_unmodified_since=long_ago)
    assert refused.value.error_code == "ConditionNotMet"
    assert [path.name async for path in lake.get_paths()] == []


async def test_listings_begin_where_they_are_asked_to(blobs, lake):
    """Listings of both dialects can begin at a path, as log readers need."""
    for name in ("log/1", "log/2", "log/3", "z"):
        await blobs.upload_blob(name, b"")
        await lake.get_file_client(name).create_file()
    found = blobs.list_blobs(name_starts_with="log/", start_from="log/2")
    assert [blob.name async for blob in found] == ["log/2", "log/3"]
    found = blobs.list_blobs(name_starts_with="log/", start_from="log/15", results_per_page=1)
    assert [blob.name async for blob in found] == ["log/2", "log/3"]
    assert [blob.name async for blob in blobs.list_blobs(name_starts_with="log/", start_from="z")] == []
    assert [path.name async for path in lake.get_paths("log", start_from="2")] == ["log/2", "log/3"]
