import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings
from azure.storage.blob.aio import BlobClient

# aiohttp's advice to the SDK, which hands it chunks of 4 MB and more as bytes.
LARGE_BODIES = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


async def test_a_blob_and_its_properties(blobs):
    """A blob is returned with the bytes and headers with which it was put."""
    settings = ContentSettings(content_type="text/csv", content_encoding="gzip", content_disposition="x")
    blob = await blobs.upload_blob("a/b.csv", b"1,2,3", metadata={"k": "v"}, content_settings=settings)
    properties = await blob.get_blob_properties()
    assert (properties.size, properties.metadata, properties.blob_type) == (5, {"k": "v"}, "BlockBlob")
    assert properties.content_settings.content_type == "text/csv"
    assert properties.content_settings.content_encoding == "gzip"
    assert abs(properties.last_modified - datetime.now(UTC)) < timedelta(seconds=5)
    assert await (await blob.download_blob(decompress=False)).readall() == b"1,2,3"
    assert await (await blob.download_blob(1, 3, decompress=False)).readall() == b",2,"
    await blob.delete_blob()
    with pytest.raises(ResourceNotFoundError) as missing:
        await blob.get_blob_properties()
    assert missing.value.error_code == "BlobNotFound"


async def test_put_if_absent(blobs):
    """With `overwrite=False` the second put is refused because the blob exists."""
    await blobs.upload_blob("once", b"1")
    with pytest.raises(ResourceExistsError) as refused:
        await blobs.upload_blob("once", b"2")
    assert refused.value.error_code == "BlobAlreadyExists"
    await blobs.upload_blob("once", b"3", overwrite=True)
    assert await (await blobs.download_blob("once")).readall() == b"3"


async def test_put_with_a_stale_etag_is_refused(blobs):
    """A put with If-Match is refused unless the etag is current."""
    blob = blobs.get_blob_client("etag")
    first = await blob.upload_blob(b"1")
    matching = {"overwrite": True, "match_condition": MatchConditions.IfNotModified}
    await blob.upload_blob(b"2", etag=first["etag"], **matching)
    with pytest.raises(ResourceModifiedError):
        await blob.upload_blob(b"3", etag=first["etag"], **matching)
    with pytest.raises(ResourceModifiedError):
        await blobs.get_blob_client("absent").upload_blob(b"3", etag=first["etag"], **matching)


async def test_metadata_if_none_match_of_an_existing_blob_is_412(blobs):
    """The first claim of a partition fails if another processor holds it (Azurite lets it steal)."""
    blob = blobs.get_blob_client("claimed")
    await blob.upload_blob(b"", metadata={"ownerid": "one"})
    with pytest.raises(HttpResponseError) as refused:
        await blob.set_blob_metadata({"ownerid": "two"}, match_condition=MatchConditions.IfMissing)
    assert (refused.value.status_code, refused.value.error_code) == (412, "ConditionNotMet")
    assert (await blob.get_blob_properties()).metadata == {"ownerid": "one"}


async def test_a_reader_with_the_newest_version_is_told_so(blobs):
    """A reader with the current etag gets 304 without a body."""
    blob = blobs.get_blob_client("cached")
    etag = (await blob.upload_blob(b"abc"))["etag"]
    with pytest.raises(HttpResponseError) as unchanged:
        await blob.download_blob(etag=etag, match_condition=MatchConditions.IfModified)
    assert unchanged.value.status_code == 304


async def test_listing_flat_and_by_hierarchy(blobs):
    """Flat and hierarchical listings agree and mark folders as the hierarchical service does."""
    for name in ("a/1", "a/2", "b", "a-b/3"):
        await blobs.upload_blob(name, name.encode(), metadata={"n": name.replace("/", ".")})
    flat = {blob.name: blob.metadata async for blob in blobs.list_blobs(include=["metadata"])}
    assert flat["a/1"] == {"n": "a.1"}
    assert flat["a"] == {"hdi_isfolder": "true"}
    assert [name for name in flat if name in {"a/1", "a/2", "b", "a-b/3"}] == ["a-b/3", "a/1", "a/2", "b"]
    assert [name async for name in blobs.list_blob_names(name_starts_with="a/")] == ["a/1", "a/2"]
    top = [item.name async for item in blobs.walk_blobs(delimiter="/")]
    assert top == ["a-b/", "a/", "b"]
    assert [item.name async for item in blobs.walk_blobs("a/", delimiter="/")] == ["a/1", "a/2"]
    assert [blob.name async for blob in blobs.list_blobs(name_starts_with="zzz/none")] == []


async def test_listing_in_pages(blobs):
    """Pages of any size join without gaps or duplicates."""
    names = [f"p/{index:03d}" for index in range(25)]
    await asyncio.gather(*(blobs.upload_blob(name, b"") for name in names))
    for size in (1, 7, 25, 100):
        pages = blobs.list_blobs(name_starts_with="p/", results_per_page=size).by_page()
        assert [blob.name async for page in pages async for blob in page] == names


async def test_blocks_in_any_order(blobs):
    """The block list defines the order, and may reuse blocks of the committed blob."""
    blob = blobs.get_blob_client("blocks")
    ids = [base64.b64encode(b"%03d" % index).decode() for index in range(4)]
    for index in (3, 1, 0, 2):
        await blob.stage_block(ids[index], b"%d" % index * 4)
    assert not await blob.exists()
    committed, uncommitted = await blob.get_block_list("all")
    assert (committed, len(uncommitted)) == ([], 4)
    await blob.commit_block_list([BlobBlock(ids[index]) for index in (0, 1, 2)], metadata={"a": "1"})
    assert await (await blob.download_blob()).readall() == b"000011112222"
    await blob.stage_block(ids[3], b"new")
    await blob.commit_block_list([BlobBlock(ids[3]), BlobBlock(ids[1])])
    assert await (await blob.download_blob()).readall() == b"new1111"
    committed, uncommitted = await blob.get_block_list("all")
    assert ([block.size for block in committed], uncommitted) == ([3, 4], [])
    with pytest.raises(HttpResponseError) as refused:
        await blob.commit_block_list([BlobBlock(ids[0])])
    assert refused.value.error_code == "InvalidBlockList"


@LARGE_BODIES
async def test_a_large_upload_goes_in_blocks(blobs):
    """A large upload, which the SDK splits into parallel blocks, is stored completely."""
    body = bytes(range(256)) * 4096 * 20
    options = {"max_concurrency": 4, "length": len(body)}
    blob = await blobs.upload_blob("big", body, **options)
    assert await (await blob.download_blob(max_concurrency=4)).readall() == body


async def test_copy_within_the_account(blobs):
    """A copy is complete when its response is sent."""
    source = await blobs.upload_blob("source", b"abc", metadata={"k": "v"})
    target = blobs.get_blob_client("folder/target")
    assert (await target.start_copy_from_url(source.url))["copy_status"] == "success"
    properties = await target.get_blob_properties()
    assert (properties.copy.status, properties.metadata) == ("success", {"k": "v"})
    assert await (await target.download_blob()).readall() == b"abc"


async def test_leases_keep_others_out(blobs):
    """Only the holder of a lease can write, until it is released, broken or expired."""
    blob = blobs.get_blob_client("leased")
    await blob.upload_blob(b"1")
    lease = await blob.acquire_lease(15)
    for write in (
        blob.upload_blob(b"2", overwrite=True),
        blob.set_blob_metadata({"a": "1"}),
        blob.delete_blob(),
    ):
        with pytest.raises(HttpResponseError) as refused:
            await write
        assert (refused.value.status_code, refused.value.error_code) == (412, "LeaseIdMissing")
    with pytest.raises(ResourceExistsError) as taken:
        await blob.acquire_lease(15)
    assert taken.value.error_code == "LeaseAlreadyPresent"
    await blob.set_blob_metadata({"a": "1"}, lease=lease)
    properties = await blob.get_blob_properties()
    assert (properties.lease.state, properties.lease.status) == ("leased", "locked")
    await lease.renew()
    await lease.release()
    await blob.upload_blob(b"2", overwrite=True)
    second = await blob.acquire_lease(-1)
    assert await second.break_lease(0) == 0
    await blob.delete_blob()


async def test_content_checked_by_md5(blobs):
    """A body that does not match its MD5 is refused."""
    blob = blobs.get_blob_client("checked")
    await blob.upload_blob(b"abc", validate_content=True)
    with pytest.raises(HttpResponseError) as refused:
        await blob.upload_blob(b"abd", overwrite=True, headers={"Content-MD5": "kAFQmDzST7DWlj99KOF/cg=="})
    assert refused.value.error_code == "Md5Mismatch"
    assert await (await blob.download_blob()).readall() == b"abc"


async def test_the_account_says_it_is_hierarchical(storage):
    """The account is reported as hierarchical, which services that rely on atomic rename require."""
    with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        information = await asyncio.to_thread(service.get_account_information)
        container = service.get_container_client("checkpoints")
        exists = await asyncio.to_thread(container.exists)
        missing = await asyncio.to_thread(service.get_container_client("nothing").exists)
    assert (information["is_hns_enabled"], exists, missing) == (True, True, False)


async def test_blob_and_file_are_one(storage, lake, write):
    """Files written by Data Lake are readable as blobs, and vice versa."""
    await write("shared", b"abc", metadata={"k": "v"})
    async with BlobClient.from_connection_string(storage.connection_string, "lake", "shared") as blob:
        assert (await blob.get_blob_properties()).metadata == {"k": "v"}
        await blob.upload_blob(b"from blob", overwrite=True)
    file = lake.get_file_client("shared")
    assert await (await file.download_file()).readall() == b"from blob"
