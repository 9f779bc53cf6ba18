import asyncio

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.filedatalake import ContentSettings, DataLakeServiceClient

from services.emulator.storage.server import StorageServer

# aiohttp's advice to the SDK, which hands it chunks of 8 MB and more as bytes.
LARGE_BODIES = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
IF_MISSING = {"match_condition": MatchConditions.IfMissing}


async def read(file):
    return await (await file.download_file()).readall()


async def test_a_file_written_through_the_sdk_lies_under_its_own_name(lake, write, tree):
    """Any tool on the laptop can read a committed file without the server."""
    file = await write("raw/telemetry/date=2024-01-01/hour=00/p00-0.parquet", b"PAR1 and more")
    assert await read(file) == b"PAR1 and more"
    assert (
        tree / "lake/raw/telemetry/date=2024-01-01/hour=00/p00-0.parquet"
    ).read_bytes() == b"PAR1 and more"


async def test_names_with_spaces_and_letters_of_any_language(lake, write):
    """Listings return names unchanged."""
    names = {"a b", "ümläut/日本", "100%", "a+b", "q?x", "semi;colon,comma", "hash#tag", "quo'te\"s&<xml>"}
    for name in names:
        await write(name, name.encode())
        assert await read(lake.get_file_client(name)) == name.encode()
    listed = {path.name async for path in lake.get_paths() if not path.is_directory}
    assert listed == names


async def test_appends_in_any_order_make_one_file(lake):
    """Appends of a parallel upload may arrive out of order; flush puts them in order."""
    file = lake.get_file_client("out/of/order")
    await file.create_file()
    pieces = [bytes([index]) * 1000 for index in range(10)]
    order = [7, 2, 9, 0, 1, 8, 3, 4, 6, 5]
    await asyncio.gather(*(file.append_data(pieces[index], index * 1000) for index in order))
    assert (await file.get_file_properties()).size == 0
    await file.flush_data(10_000)
    assert await read(file) == b"".join(pieces)


async def test_a_gap_or_a_wrong_length_is_not_flushed(lake):
    """A flush across a gap is refused, and the appends stay."""
    file = lake.get_file_client("gap")
    await file.create_file()
    await file.append_data(b"abc", 0)
    await file.append_data(b"ghi", 6)
    for position in (2, 5, 9):
        with pytest.raises(HttpResponseError) as refused:
            await file.flush_data(position)
        assert refused.value.error_code == "InvalidFlushPosition"
        assert refused.value.status_code == 400
    await file.append_data(b"def", 3)
    await file.flush_data(9)
    assert await read(file) == b"abcdefghi"


async def test_a_file_grows_flush_by_flush(lake):
    """Later appends extend the committed file."""
    file = lake.get_file_client("grows")
    await file.create_file()
    for index in range(5):
        await file.append_data(b"%d" % index * 10, index * 10, flush=True)
    assert await read(file) == b"".join(b"%d" % index * 10 for index in range(5))
    etag = (await file.get_file_properties()).etag
    await file.flush_data(50)
    assert (await file.get_file_properties()).etag != etag


async def test_an_append_sent_twice_counts_once(lake):
    """An append repeated after a lost response does not double the bytes."""
    file = lake.get_file_client("twice")
    await file.create_file()
    for _ in range(3):
        await file.append_data(b"abc", 0)
    await file.flush_data(3)
    assert await read(file) == b"abc"


async def test_rename_keeps_etag_and_metadata(lake, write):
    """A renamed file keeps its etag, so readers with that etag can continue."""
    settings = ContentSettings(content_type="application/vnd.apache.parquet", cache_control="no-store")
    file = await write("_staging/a", b"abc", metadata={"attempt": "7"}, content_settings=settings)
    before = await file.get_file_properties()
    await lake.create_directory("raw")
    renamed = await file.rename_file("lake/raw/a", **IF_MISSING)
    after = await renamed.get_file_properties()
    assert (after.etag, after.metadata, after.size) == (before.etag, {"attempt": "7"}, 3)
    assert after.content_settings.content_type == "application/vnd.apache.parquet"
    assert after.content_settings.cache_control == "no-store"
    assert after.creation_time == before.creation_time
    assert not await file.exists()


async def test_rename_takes_uncommitted_appends_along(lake):
    """Uncommitted appends belong to the file and follow its rename."""
    file = lake.get_file_client("a")
    await file.create_file()
    await file.append_data(b"abc", 0)
    renamed = await file.rename_file("lake/b")
    await renamed.flush_data(3)
    assert await read(renamed) == b"abc"


async def test_rename_makes_no_parent(lake, write):
    """A rename into a missing folder is refused."""
    file = await write("_staging/a", b"abc")
    with pytest.raises(ResourceNotFoundError) as refused:
        await file.rename_file("lake/raw/a", **IF_MISSING)
    assert refused.value.error_code == "RenameDestinationParentPathNotFound"
    assert await file.exists()


async def test_rename_if_missing_never_replaces(lake, write):
    """Of two renames to one slot the second is refused and changes nothing."""
    await write("slot", b"first")
    late = await write("_staging/late", b"late")
    with pytest.raises(ResourceExistsError) as refused:
        await late.rename_file("lake/slot", **IF_MISSING)
    assert refused.value.error_code == "PathAlreadyExists"
    assert await read(lake.get_file_client("slot")) == b"first"
    assert await late.exists()


async def test_eight_writers_racing_for_a_slot_have_one_winner(lake, write):
    """Of eight writers that race for one path, exactly one commits."""
    files = [await write(f"_staging/{index}", b"%d" % index) for index in range(8)]
    await lake.create_directory("raw")
    for slot in range(20):
        results = await asyncio.gather(
            *(file.rename_file(f"lake/raw/{slot}", **IF_MISSING) for file in files), return_exceptions=True
        )
        won = [index for index, result in enumerate(results) if not isinstance(result, Exception)]
        assert len(won) == 1
        assert {result.error_code for result in results if isinstance(result, Exception)} == {
            "PathAlreadyExists"
        }
        assert await read(lake.get_file_client(f"raw/{slot}")) == b"%d" % won[0]
        files[won[0]] = await write(f"_staging/{won[0]}", b"%d" % won[0])


async def test_rename_without_condition_replaces(lake, write):
    """An unconditional rename replaces the file at the target."""
    await write("target", b"old")
    file = await write("source", b"new")
    await file.rename_file("lake/target")
    assert await read(lake.get_file_client("target")) == b"new"


async def test_a_source_that_is_gone_is_said_to_be(lake):
    """A rename repeated after a lost response finds no source: callers must check the target."""
    with pytest.raises(ResourceNotFoundError) as refused:
        await lake.get_file_client("nothing").rename_file("lake/anything")
    assert refused.value.error_code == "SourcePathNotFound"


async def test_a_directory_moves_with_all_it_holds(lake, write, tree):
    """Renaming a folder is one atomic change."""
    for name in ("a", "b/c", "b/d"):
        await write(f"old/{name}", name.encode())
    await lake.get_directory_client("old").rename_directory("lake/new")
    names = [path.name async for path in lake.get_paths() if not path.is_directory]
    assert names == ["new/a", "new/b/c", "new/b/d"]
    assert await read(lake.get_file_client("new/b/c")) == b"b/c"
    assert not (tree / "lake/old").exists()
    with pytest.raises(ResourceExistsError):
        await lake.get_directory_client("new").rename_directory("lake/new/b/inside")


async def test_create_if_missing_tells_the_loser(lake, write):
    """Of two conditional creates the second is refused."""
    await write("chain", b"mine")
    with pytest.raises(ResourceExistsError) as refused:
        await lake.get_file_client("chain").create_file(**IF_MISSING)
    assert refused.value.error_code == "PathAlreadyExists"
    await lake.get_file_client("chain").create_file()
    assert await read(lake.get_file_client("chain")) == b""


async def test_conditions_on_etags(lake, write):
    """A write with If-Match succeeds only while the etag is current."""
    file = await write("conditional", b"abc")
    etag = (await file.get_file_properties()).etag
    await file.set_metadata({"a": "1"}, etag=etag, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        await file.set_metadata({"a": "2"}, etag=etag, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        await file.delete_file(etag=etag, match_condition=MatchConditions.IfNotModified)
    assert (await file.get_file_properties()).metadata == {"a": "1"}


async def test_delete(lake, write, tree):
    """A file is deleted once, and a folder with everything in it."""
    file = await write("folder/file", b"abc")
    await file.delete_file()
    with pytest.raises(ResourceNotFoundError) as missing:
        await file.delete_file()
    assert missing.value.error_code == "PathNotFound"
    await write("folder/other", b"abc")
    await lake.get_directory_client("folder").delete_directory()
    assert not (tree / "lake/folder").exists()
    assert [path.name async for path in lake.get_paths()] == []


async def test_a_file_is_no_folder(lake, write):
    """Nothing can be put below a file, nor a file in place of a folder."""
    await write("file", b"abc")
    with pytest.raises(ResourceExistsError):
        await lake.get_file_client("file/below").create_file()
    await lake.create_directory("folder")
    with pytest.raises(ResourceExistsError):
        await lake.get_file_client("folder").create_file()
    with pytest.raises(ResourceExistsError):
        await lake.create_directory("file")


@LARGE_BODIES
async def test_download_of_a_large_file_in_parallel_ranges(lake, write):
    """A file larger than one request downloads completely."""
    body = bytes(range(256)) * 4096 * 40
    file = lake.get_file_client("large")
    await file.upload_data(body, overwrite=True, chunk_size=8 * 1024 * 1024, max_concurrency=4)
    downloaded = await (await file.download_file(max_concurrency=4)).readall()
    assert downloaded == body
    assert await (await file.download_file(offset=1000, length=10)).readall() == body[1000:1010]


async def test_an_empty_file_downloads(lake, write):
    """An empty file downloads as zero bytes."""
    assert await read(await write("empty", b"")) == b""


async def test_paths_page_past_five_thousand(tree, tmp_path):
    """A long listing is complete and ordered, in pages, and includes files put there by hand."""
    names = [f"f{index:05d}" for index in range(5_300)]
    (tree / "lake").mkdir(parents=True)
    for name in names:
        (tree / "lake" / name).touch()
    async with StorageServer(tmp_path) as storage:
        with DataLakeServiceClient.from_connection_string(storage.connection_string) as service:
            lake = service.get_file_system_client("lake")
            listed = await asyncio.to_thread(lambda: [path.name for path in lake.get_paths()])
            pages = await asyncio.to_thread(
                lambda: [len(list(page)) for page in lake.get_paths(max_results=1000).by_page()]
            )
    assert listed == names
    assert pages == [1000] * 5 + [300]


async def test_listing_a_folder(lake, write):
    """A listing covers one level or all levels; a missing folder is an error."""
    for name in ("x/a", "x/y/b", "x-side/c", "z"):
        await write(name, b"")
    top = [(path.name, path.is_directory) async for path in lake.get_paths(recursive=False)]
    assert sorted(top) == [("x", True), ("x-side", True), ("z", False)]
    assert [path.name async for path in lake.get_paths("x")] == ["x/a", "x/y", "x/y/b"]
    with pytest.raises(ResourceNotFoundError):
        _ = [path async for path in lake.get_paths("nowhere")]


async def test_rights_are_kept(lake, write):
    """Rights are stored and returned, but not enforced."""
    file = await write("file", b"")
    assert (await file.get_access_control())["owner"] == "$superuser"
    await file.set_access_control(owner="someone", permissions="rwx------")
    kept = await file.get_access_control()
    assert (kept["owner"], kept["permissions"]) == ("someone", "rwx------")


async def test_file_systems_come_and_go(storage, tree):
    """A file system is a folder next to `lake`."""
    with DataLakeServiceClient.from_connection_string(storage.connection_string) as service:

        def life():
            names = [found.name for found in service.list_file_systems()]
            created = service.create_file_system("another", metadata={"a": "1"})
            with pytest.raises(ResourceExistsError) as again:
                service.create_file_system("another")
            properties = created.get_file_system_properties()
            listed = [found.name for found in service.list_file_systems(name_starts_with="an")]
            created.get_file_client("file").create_file()
            on_disk = (tree / "another/file").exists()
            created.delete_file_system()
            return names, again.value.error_code, properties.metadata, listed, on_disk, created.exists()

        names, code, metadata, listed, on_disk, exists = await asyncio.to_thread(life)
    assert names == ["checkpoints", "lake"]
    assert (code, metadata, listed, on_disk, exists) == (
        "ContainerAlreadyExists",
        {"a": "1"},
        ["another"],
        True,
        False,
    )
    assert not (tree / "another").exists()


async def test_a_file_created_with_a_lease(lake):
    """Only the holder can write a file that was created with a lease."""
    file = lake.get_file_client("leased")
    lease_id = "11111111-1111-1111-1111-111111111111"
    await file.create_file(lease_id=lease_id, lease_duration=30)
    with pytest.raises(HttpResponseError) as refused:
        await file.append_data(b"abc", 0)
    assert refused.value.error_code == "LeaseIdMissing"
    await file.append_data(b"abc", 0, lease=lease_id)
    await file.flush_data(3, lease=lease_id)
    assert await read(file) == b"abc"


async def test_properties_of_a_path(lake, write):
    """Metadata and content settings are replaced as the service replaces them."""
    file = await write("file", b"abc", metadata={"one": "1"})
    await file.set_metadata({"two": "2"})
    await file.set_http_headers(ContentSettings(content_type="text/plain", content_language="de"))
    properties = await file.get_file_properties()
    assert properties.metadata == {"two": "2"}
    assert properties.content_settings.content_type == "text/plain"
    assert properties.content_settings.content_language == "de"
