import asyncio
import hashlib
import os
import random
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY

SERVE = Path(__file__).with_name("serve.py")
CREDENTIAL = {"account_name": WELL_KNOWN_ACCOUNT, "account_key": WELL_KNOWN_KEY}


class Victim:
    """A storage server in a process of its own that is killed and started again on the same port."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "kills"
        self.port = 0
        self.process = None

    @property
    def kills(self):
        return len(self.log.read_text().split()) if self.log.exists() else 0

    async def start(self, failpoints=""):
        env = os.environ | {"FLEETPRICE_FAILPOINTS": failpoints, "FLEETPRICE_FAILPOINTS_LOG": str(self.log)}
        env["PYTHONPATH"] = str(Path(__file__).parents[4])
        command = [sys.executable, str(SERVE), str(self.folder), str(self.port)]
        self.process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
        self.port = int(await self.process.stdout.readline())

    async def kill(self):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    @asynccontextmanager
    async def clients(self):
        url = f"http://127.0.0.1:{self.port}/{WELL_KNOWN_ACCOUNT}"
        async with (
            DataLakeServiceClient(url, CREDENTIAL, retry_total=0) as lake,
            BlobServiceClient(url, CREDENTIAL, retry_total=0) as blobs,
        ):
            yield lake.get_file_system_client("lake"), blobs.get_container_client("checkpoints")


@pytest.fixture
async def victim(tmp_path):
    victim = Victim(tmp_path)
    await victim.start()
    yield victim
    await victim.kill()


def body_of(name):
    """The content of the file of this name; its length differs from name to name."""
    seed = hashlib.sha256(name.encode()).digest()
    return seed * (500 + seed[0] * 40)


async def write_files(lake, writer, acknowledged):
    """Commit files as ingest does, recording each acknowledged one, until the server is gone."""
    for number in range(10_000):
        name = f"{writer}-{number}"
        body = body_of(name)
        staged = lake.get_file_client(f"_staging/{name}")
        await staged.create_file(metadata={"name": name})
        half = len(body) // 2
        await staged.append_data(body[half:], half)
        await staged.append_data(body[:half], 0)
        await staged.flush_data(len(body))
        await staged.rename_file(f"lake/raw/{name}")
        acknowledged.append(name)


def check_files(folder, acknowledged):
    """Check that no acknowledged file is lost, and that every committed file is complete."""
    raw = folder / "storage/devstoreaccount1/lake/raw"
    found = {file.name for file in raw.iterdir()}
    assert set(acknowledged) <= found
    assert all((raw / name).read_bytes() == body_of(name) for name in found)
    for staged in (raw.parent / "_staging").iterdir():
        assert staged.read_bytes() in {b"", body_of(staged.name)}


async def test_killed_at_any_moment_files_are_whole(victim, tmp_path):
    """kill -9 during a stream of commits leaves complete files only, before and after a restart."""
    chance = random.Random(7)
    acknowledged = []
    for life in range(6):
        async with victim.clients() as (lake, _):
            if not life:
                await lake.create_directory("raw")
            writers = [
                asyncio.ensure_future(write_files(lake, f"{life}-{index}", acknowledged))
                for index in range(3)
            ]
            goal = len(acknowledged) + chance.randint(1, 40)
            while len(acknowledged) < goal and not any(writer.done() for writer in writers):
                await asyncio.wait(writers, timeout=0.005)
            await victim.kill()
            results = await asyncio.gather(*writers, return_exceptions=True)
        assert all(isinstance(result, AzureError) for result in results), results
        check_files(tmp_path, acknowledged)
        await victim.start()
        async with victim.clients() as (lake, _):
            for name in acknowledged[-5:]:
                properties = await lake.get_file_client(f"raw/{name}").get_file_properties()
                assert (properties.size, properties.metadata) == (len(body_of(name)), {"name": name})
        check_files(tmp_path, acknowledged)


@pytest.mark.parametrize("every", [37, 38, 39, 40], ids=["put blob", "create", "flush", "rename"])
async def test_killed_after_the_commit_and_before_the_response(victim, tmp_path, every):
    """A change that was durable at the kill is there after the restart, acknowledged or not."""
    kills = 3
    await victim.kill()
    acknowledged, attempted, checkpoint = [], [], 0
    while victim.kills < kills:
        await victim.start(f"storage_committed={every}*{kills}")
        async with victim.clients() as (lake, blobs):
            try:
                await lake.create_directory("raw")
                while True:
                    attempted.append(f"{len(attempted)}")
                    await write_one(lake, attempted[-1])
                    acknowledged.append(attempted[-1])
                    checkpoint += 1
                    await blobs.upload_blob(
                        "mark", b"", metadata={"sequence": str(checkpoint)}, overwrite=True
                    )
            except AzureError:
                await victim.process.wait()
    await victim.start()
    check_files(tmp_path, acknowledged)
    async with victim.clients() as (lake, blobs):
        names = [path.name async for path in lake.get_paths() if not path.is_directory]
        for name in names:  # acknowledged or not, a blob that exists has its complete entry
            properties = await lake.get_file_client(name).get_file_properties()
            assert properties.metadata == {"name": name.rpartition("/")[2]}
        mark = await blobs.get_blob_client("mark").get_blob_properties()
    assert {f"raw/{name}" for name in acknowledged} <= set(names)
    assert int(mark.metadata["sequence"]) in {checkpoint - 1, checkpoint}


async def write_one(lake, name):
    staged = lake.get_file_client(f"_staging/{name}")
    body = body_of(name)
    await staged.create_file(metadata={"name": name})
    await staged.append_data(body, 0)
    await staged.flush_data(len(body))
    await staged.rename_file(f"lake/raw/{name}")


async def test_uncommitted_appends_outlive_a_kill(victim):
    """An acknowledged append can be flushed after a kill and a restart."""
    async with victim.clients() as (lake, blobs):
        file = lake.get_file_client("file")
        await file.create_file()
        await file.append_data(b"def", 3)
        await file.append_data(b"abc", 0)
        await blobs.get_blob_client("blob").stage_block("YQ==", b"staged")
    await victim.kill()
    await victim.start()
    async with victim.clients() as (lake, blobs):
        file = lake.get_file_client("file")
        await file.flush_data(6)
        assert await (await file.download_file()).readall() == b"abcdef"
        blob = blobs.get_blob_client("blob")
        await blob.commit_block_list(["YQ=="])
        assert await (await blob.download_blob()).readall() == b"staged"


async def test_an_append_sent_again_after_a_kill(victim):
    """An unacknowledged append can be repeated after a kill and a restart."""
    for _ in range(3):
        async with victim.clients() as (lake, _):
            file = lake.get_file_client("file")
            if not await file.exists():
                await file.create_file()
            await file.append_data(b"abc", 0)
            await file.append_data(b"def", 3)
        await victim.kill()
        await victim.start()
    async with victim.clients() as (lake, _):
        file = lake.get_file_client("file")
        await file.flush_data(6)
        assert await (await file.download_file()).readall() == b"abcdef"


async def test_etags_never_come_back(victim):
    """An etag from before a kill is never reused for other content."""
    seen = set()
    for _ in range(3):
        async with victim.clients() as (_, blobs):
            for _ in range(20):
                seen.add((await blobs.upload_blob("blob", b"", overwrite=True)).url)
                seen.add((await blobs.get_blob_client("blob").get_blob_properties()).etag)
        await victim.kill()
        await victim.start()
    assert len(seen) == 1 + 60


@pytest.mark.parametrize("point", ["storage_grown", "storage_recorded", "storage_committed"])
async def test_killed_at_every_step_of_a_growing_file(victim, tmp_path, point):
    """After any kill a log ends where one of its flushes ended: nothing is torn, lost or doubled."""
    await victim.kill()
    line, kills, acknowledged = b"." * 999 + b"\n", 2, 0
    on_disk = tmp_path / "storage/devstoreaccount1/lake/log"
    for life in range(40):
        await victim.start(f"{point}={7 + life}*{kills}")
        async with victim.clients() as (lake, blobs):
            file = lake.get_file_client("log")
            try:
                if not await file.exists():
                    await file.create_file()
                    await blobs.get_blob_client("log").create_append_blob()
                size = (await file.get_file_properties()).size
                assert size == on_disk.stat().st_size
                assert size // 1000 - acknowledged in {0, 1}
                acknowledged = size // 1000
                while victim.kills < kills:
                    await file.append_data(line, acknowledged * 1000)
                    await file.flush_data(acknowledged * 1000 + 1000)
                    acknowledged += 1
                    await blobs.get_blob_client("log").append_block(line)
                break
            except AzureError:
                await victim.process.wait()
    async with victim.clients() as (lake, blobs):
        body = await (await lake.get_file_client("log").download_file()).readall()
        log = await (await blobs.get_blob_client("log").download_blob()).readall()
    assert victim.kills == kills
    assert body == line * acknowledged
    assert log == line * (len(log) // 1000)


@pytest.mark.parametrize("point", ["storage_recorded", "storage_committed"])
async def test_killed_at_every_step_of_copies_and_block_lists(victim, tmp_path, point):
    """After any kill a copied or block-listed blob is complete with its entry, or absent."""
    await victim.kill()
    kills, whole = 2, b"0123456789" * 1000
    for life in range(40):
        await victim.start(f"{point}={5 + life}*{kills}")
        async with victim.clients() as (_, blobs):
            try:
                source = await blobs.upload_blob("source", whole, metadata={"k": "v"}, overwrite=True)
                for index in range(20):
                    if victim.kills >= kills:
                        break
                    await blobs.get_blob_client(f"copy-{index}").start_copy_from_url(source.url)
                    listed = blobs.get_blob_client(f"list-{index}")
                    await listed.stage_block("YQ==", whole)
                    await listed.commit_block_list(["YQ=="], metadata={"k": "v"})
                    await blobs.delete_blob(f"copy-{index}")
                else:
                    await victim.kill()
            except AzureError:
                await victim.process.wait()
        if victim.kills >= kills:
            break
    await victim.kill()
    await victim.start()
    async with victim.clients() as (_, blobs):
        async for blob in blobs.list_blobs(include=["metadata"]):
            body = (tmp_path / "storage/devstoreaccount1/checkpoints" / blob.name).read_bytes()
            assert (body, blob.metadata) == (whole, {"k": "v"})
    assert list((tmp_path / "storage/.staging/parts").iterdir()) == []
