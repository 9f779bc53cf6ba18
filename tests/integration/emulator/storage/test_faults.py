import time

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.filedatalake.aio import DataLakeServiceClient

from services.emulator.storage.faults import Fault

IF_MISSING = {"match_condition": MatchConditions.IfMissing}


@pytest.fixture
async def impatient(storage):
    """A client that does not retry."""
    service = DataLakeServiceClient.from_connection_string(storage.connection_string, retry_total=0)
    async with service:
        yield service.get_file_system_client("lake")


async def test_a_renames_response_is_lost_but_the_rename_is_not(storage, impatient, write):
    """A rename whose response is lost is durable; repeating it finds the target."""
    await write("_staging/a", b"abc")
    storage.faults.drop_answer(operation="rename")
    # Even without the SDK's retries, aiohttp repeats a PUT if a kept-alive connection broke.
    with pytest.raises((ServiceResponseError, ResourceNotFoundError, ResourceExistsError)):
        await impatient.get_file_client("_staging/a").rename_file("lake/slot", **IF_MISSING)
    assert await (await impatient.get_file_client("slot").download_file()).readall() == b"abc"
    await write("_staging/b", b"late")
    with pytest.raises(ResourceExistsError):
        await impatient.get_file_client("_staging/b").rename_file("lake/slot", **IF_MISSING)


async def test_the_sdk_retries_a_lost_rename_and_finds_no_source(storage, lake, write):
    """The SDK's retry of a successful rename gets SourcePathNotFound, as with the real service."""
    file = await write("_staging/a", b"abc")
    storage.faults.drop_answer(operation="rename")
    with pytest.raises(HttpResponseError) as refused:
        await file.rename_file("lake/slot")
    assert refused.value.error_code == "SourcePathNotFound"
    assert await lake.get_file_client("slot").exists()


async def test_a_failure_on_request_changes_nothing(storage, impatient, write):
    """A `fail` fault refuses the operation with its code, as many times as requested."""
    await write("raw/a", b"abc")
    storage.faults.fail(status=500, code="InternalError", count=2, operation="flush", path_prefix="lake/raw/")
    file = impatient.get_file_client("raw/a")
    await file.append_data(b"def", 3)
    for _ in range(2):
        with pytest.raises(HttpResponseError) as refused:
            await file.flush_data(6)
        assert (refused.value.status_code, refused.value.error_code) == (500, "InternalError")
    assert await (await file.download_file()).readall() == b"abc"
    await file.flush_data(6)
    assert await (await file.download_file()).readall() == b"abcdef"


async def test_a_fault_hits_only_what_it_was_armed_for(storage, impatient, write):
    """A fault does not affect other paths or operations."""
    storage.faults.fail(operation="rename", path_prefix="lake/raw/")
    file = await write("_staging/a", b"abc")
    moved = await file.rename_file("lake/elsewhere")
    await impatient.create_directory("raw")
    with pytest.raises(HttpResponseError) as refused:
        await impatient.get_file_client("elsewhere").rename_file("lake/raw/a")
    assert refused.value.status_code == 503
    await moved.rename_file("lake/raw/a")


async def test_the_sdks_retry_sees_it_through(storage, lake):
    """The SDK's retry succeeds after a short ServerBusy."""
    storage.faults.fail(count=2)
    await lake.get_file_client("a").create_file()
    assert await lake.get_file_client("a").exists()


async def test_faults_are_cleared(storage, impatient):
    """Cleared faults strike no more."""
    storage.faults.fail(count=100)
    storage.faults.clear()
    await impatient.get_file_client("a").create_file()


async def test_a_failure_after_the_work_leaves_it_done(storage, impatient, write):
    """A `fail` fault after the work returns an error, but the file has its new length."""
    file = await write("raw/a", b"abc")
    storage.faults.inject(Fault("fail", "flush", "lake/raw/", at="after", status=500))
    file = impatient.get_file_client("raw/a")
    await file.append_data(b"def", 3)
    with pytest.raises(HttpResponseError) as refused:
        await file.flush_data(6)
    assert (refused.value.status_code, refused.value.error_code) == (500, "InternalError")
    assert await (await file.download_file()).readall() == b"abcdef"


async def test_a_request_that_never_arrived_changes_nothing(storage, impatient, write):
    """If the connection breaks before the work, a retry is safe."""
    file = impatient.get_file_client("raw/a")
    # aiohttp itself repeats a PUT if a kept-alive connection broke.
    armed = storage.faults.inject(Fault("drop_answer", "create_file", at="before", times="always"))
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        await file.create_file()
    armed.disarm()
    assert not await file.exists()
    await file.create_file()
    assert armed.struck >= 1


@pytest.mark.parametrize("at", ["before", "after"])
async def test_slow_storage_responds_late(storage, impatient, at):
    """A `slow` fault delays its request and not the next one."""
    storage.faults.inject(Fault("slow", "create_file", at=at, delay_ms=300))
    began_s = time.monotonic()
    await impatient.get_file_client("a").create_file()
    assert time.monotonic() - began_s >= 0.3
    assert not storage.faults.is_armed


async def test_a_client_that_gives_up_on_slow_storage_can_go_on(storage, impatient, write):
    """After a read time-out the client's repeated download is complete."""
    await write("a", b"abc")
    with storage.faults.inject(Fault("slow", "get_blob", delay_ms=60_000, times="always")) as armed:
        with pytest.raises(ServiceResponseError):
            await impatient.get_file_client("a").download_file(read_timeout=0.2)
        assert armed.struck == 1
    assert await (await impatient.get_file_client("a").download_file()).readall() == b"abc"


async def test_a_download_whose_response_is_dropped_is_repeated_by_the_sdk(storage, lake, write):
    """The SDK's retry of a dropped download delivers the bytes, and the server closes its files."""
    await write("a", b"x" * 300_000)
    armed = storage.faults.inject(Fault("drop_answer", "get_blob", times=2))
    assert await (await lake.get_file_client("a").download_file()).readall() == b"x" * 300_000
    assert armed.struck == 2
