import asyncio
import os
import resource
from datetime import UTC, datetime, timedelta
from functools import partial

import aiohttp
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import generate_blob_sas
from azure.storage.blob.aio import BlobClient
from yarl import URL

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY

# aiohttp's advice to the SDK, which hands it what it was given.
LARGE_BODIES = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
PIECE = bytes(range(256)) * 4


async def read(file):
    return await (await file.download_file()).readall()


async def test_a_flush_writes_only_what_is_new(lake, write, tree):
    """A flush appends its bytes and rewrites nothing, however long the file is."""
    file = await write("log", PIECE)
    inode = (tree / "lake/log").stat().st_ino
    for turn in range(1, 40):
        await file.append_data(PIECE, turn * len(PIECE))
        await file.flush_data((turn + 1) * len(PIECE))
    assert (tree / "lake/log").stat().st_ino == inode
    assert await read(file) == PIECE * 40
    assert list((tree.parent / ".staging/growing").iterdir()) == []


@LARGE_BODIES
async def test_a_reader_in_the_middle_sees_the_version_it_began_with(storage, lake, write):
    """A download excludes bytes flushed after it began, and the old etag is refused afterwards."""
    body = os.urandom(6_000_000)
    file = await write("read", body)
    etag = (await file.get_file_properties()).etag
    expiry = datetime.now(UTC) + timedelta(hours=1)
    token = generate_blob_sas(
        WELL_KNOWN_ACCOUNT, "lake", "read", account_key=WELL_KNOWN_KEY, permission="r", expiry=expiry
    )
    url = f"http://127.0.0.1:{storage.port}/{WELL_KNOWN_ACCOUNT}/lake/read?{token}"
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as download:
        found = await download.content.readexactly(100_000)
        await file.append_data(b"more", len(body), flush=True)
        assert found + await download.read() == body
    async with BlobClient.from_connection_string(storage.connection_string, "lake", "read") as blob:
        with pytest.raises(ResourceModifiedError):
            await blob.download_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
        assert await (await blob.download_blob()).readall() == body + b"more"


async def test_what_is_described_while_it_grows_keeps_both(lake, write):
    """Metadata set during a flush is kept, and so are the flushed bytes."""
    file = await write("both", b"0")
    for turn in range(1, 6):
        await file.append_data(b"x" * 400_000, 1 + (turn - 1) * 400_000)
        await asyncio.gather(file.flush_data(1 + turn * 400_000), file.set_metadata({"turn": str(turn)}))
        properties = await file.get_file_properties()
        assert (properties.size, properties.metadata) == (1 + turn * 400_000, {"turn": str(turn)})


async def test_flushes_at_once_make_one_file(lake, write):
    """Of concurrent flushes the first wins; the others succeed only at the same length."""
    file = await write("race", b"0" * 10)
    for index in range(8):
        await file.append_data(b"%d" % index * 100_000, 10 + index * 100_000)
    lengths = [10 + count * 100_000 for count in (8, 8, 3, 8, 5)]
    results = await asyncio.gather(*map(file.flush_data, lengths), return_exceptions=True)
    content = await read(file)
    outcomes = [getattr(result, "error_code", None) for result in results]
    assert outcomes == [None if one == len(content) else "InvalidFlushPosition" for one in lengths]
    assert content == b"0" * 10 + b"".join(b"%d" % index * 100_000 for index in range(8))[: len(content) - 10]


async def test_replaced_renamed_and_deleted_while_it_grows(lake, write, tree):
    """A file that is replaced, renamed or deleted during a flush is never a mix of both."""
    await lake.create_directory("moved")
    for turn in range(6):
        file = await write(f"busy-{turn}", b"old")
        await file.append_data(b"n" * 600_000, 3)
        others = (
            file.create_file,
            file.delete_file,
            partial(file.rename_file, f"lake/moved/{turn}"),
        )
        await asyncio.gather(file.flush_data(600_003), others[turn % 3](), return_exceptions=True)
    sizes = {path.stat().st_size for path in tree.rglob("*") if path.is_file()}
    assert sizes <= {0, 3, 600_003}
    assert list((tree.parent / ".staging/growing").iterdir()) == []
    for path in [path async for path in lake.get_paths() if not path.is_directory]:
        assert (tree / "lake" / path.name).stat().st_size == path.content_length


@LARGE_BODIES
async def test_a_full_disk_leaves_the_file_as_it_was(lake, write, tree):
    """A flush on a full disk is refused without effect, and succeeds once there is space."""
    body = os.urandom(2_000_000)
    file = await write("full", body)
    await file.append_data(b"x" * 1_000_000, 2_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, hard))
    try:
        with pytest.raises(HttpResponseError) as refused:
            await file.flush_data(3_000_000)
        assert (tree / "lake/full").stat().st_size == 2_000_000
        with pytest.raises(HttpResponseError) as unstaged:
            await write("too big", b"x" * 2_600_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for each in (refused, unstaged):
        assert (each.value.status_code, each.value.error_code) == (500, "InternalError")
    assert await read(file) == body
    assert list((tree.parent / ".staging/parts").iterdir()) == []
    await file.flush_data(3_000_000)
    assert await read(file) == body + b"x" * 1_000_000


async def test_an_append_blob_is_a_log_of_many_writers(blobs):
    """Blocks of many writers are stored one after the other: none lost, torn or doubled."""
    log = blobs.get_blob_client("log")
    await log.create_append_blob(metadata={"k": "v"})
    lines = [b"%03d-" % index + b"." * 995 + b"\n" for index in range(40)]
    responses = await asyncio.gather(*(log.append_block(line) for line in lines))
    body = await (await log.download_blob()).readall()
    assert sorted(body.splitlines(keepends=True)) == lines
    assert sorted(int(response["blob_append_offset"]) for response in responses) == list(
        range(0, 40_000, 1000)
    )
    properties = await log.get_blob_properties()
    assert (properties.blob_type, properties.append_blob_committed_block_count) == ("AppendBlob", 40)
    assert [found.blob_type async for found in blobs.list_blobs()] == ["AppendBlob"]


async def test_conditions_of_an_append(blobs, lake):
    """An append with a wrong position, beyond the maximum size or on another blob type is refused."""
    log = blobs.get_blob_client("log")
    with pytest.raises(ResourceNotFoundError):
        await log.append_block(b"x")
    await log.create_append_blob()
    await log.append_block(b"abc", appendpos_condition=0)
    for options, code in (
        ({"appendpos_condition": 0}, "AppendPositionConditionNotMet"),
        ({"maxsize_condition": 5}, "MaxBlobSizeConditionNotMet"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            await log.append_block(b"def", **options)
        assert (refused.value.status_code, refused.value.error_code) == (412, code)
    await blobs.upload_blob("plain", b"abc")
    for wrong in (
        blobs.get_blob_client("plain").append_block(b"x"),
        log.stage_block("YQ==", b"x"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            await wrong
        assert (refused.value.status_code, refused.value.error_code) == (409, "InvalidBlobType")
    await blobs.upload_blob("log", b"begin", blob_type="AppendBlob", overwrite=True)
    await blobs.upload_blob("log", b" and on", blob_type="AppendBlob")
    assert await (await log.download_blob()).readall() == b"begin and on"
