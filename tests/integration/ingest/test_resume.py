"""The lake is the checkpoint: after failures of blobs, answers or owners a reading is there once."""

import asyncio

import pytest
from azure.storage.blob.aio import BlobServiceClient

from shared.service.errors import HubRecreated
from tests.support.embedded_stack import PATIENCE_S
from tests.support.ingesting import (
    assert_once,
    checkpoints,
    ingesting,
    readings,
    send,
    sending,
    until,
)


async def overwrite_checkpoints(world, metadata):
    """As an operator or a stale owner would; None deletes them."""
    async with BlobServiceClient.from_connection_string(world.storage.connection_string) as client:
        container = client.get_container_client("checkpoints")
        for name in await checkpoints(world):
            if metadata is None:
                await container.delete_blob(name)
            else:
                await container.get_blob_client(name).set_blob_metadata(metadata)


@pytest.mark.parametrize(
    "metadata",
    [None, {"offset": "-1", "sequencenumber": "-1"}, {"offset": "999999", "sequencenumber": "999"}],
)
async def test_checkpoints_are_only_a_hint(world, lake, metadata):
    """Deleted, moved back or moved ahead: ingest resumes where the lake ends."""
    await send(world, readings(1, 101))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)
    await overwrite_checkpoints(world, metadata)

    await send(world, readings(101, 201))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 200)

    assert_once(lake, 200)


async def test_every_partition_has_a_checkpoint(world, lake):
    """KEDA sees all partitions from the start, and how far each has landed."""
    await send(world, readings(1, 101), partition="2")
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)

    found = {
        name.rpartition("/")[2]: values["sequencenumber"]
        for name, values in (await checkpoints(world)).items()
    }
    assert found == {"0": "-1", "1": "-1", "2": "99", "3": "-1"}


async def test_a_lost_rename_answer_is_recognised(world, lake):
    """The rename happened, its answer was lost: the file is found to be mine, and nothing lands twice."""
    world.storage.faults.drop_answer(operation="rename", path_prefix="lake/raw/telemetry/date=")
    await send(world, readings(1, 101))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)
        await send(world, readings(101, 201))
        await until(lambda: len(lake.keys()) == 200)

    assert_once(lake, 200)


async def test_a_refused_rename_is_repeated(world, lake):
    """Storage that is busy for a while delays a commit and costs nothing."""
    world.storage.faults.fail(count=2, operation="rename", path_prefix="lake/raw/telemetry/date=")
    await send(world, readings(1, 101))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)

    assert_once(lake, 100)


async def test_two_writers_never_double(world, lake):
    """Two processes that know nothing of each other land one partition: every reading once."""
    quick = {"roll_max_age_s": 0.05, "roll_max_rows": 37}
    async with (
        ingesting(world, consumer_group="$Default", **quick),
        ingesting(world, consumer_group="scorer", **quick),
    ):
        async with sending(world) as send_now:
            for start in range(1, 2001, 100):
                await send_now(readings(start, start + 100))
        await until(lambda: len(lake.keys()) == 2000)

    assert_once(lake, 2000)
    assert len({footer["attempt"] for footer in lake.footers()}) == len(lake.files())


async def test_retention_overtakes(world, lake):
    """Events that retention removed before they were read are recorded as a gap, and the rest lands."""
    await send(world, readings(1, 51))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 50)
    await send(world, readings(51, 101))
    log = world.hub.namespace.hubs.find("telemetry").logs[0]
    log.roll()
    await until(lambda: log.expire(2**62, 0, None) or log.state().begin_sequence_number == 100)
    await send(world, readings(101, 151))

    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 100)

    assert_once(lake, 100)
    gaps = [footer for footer in lake.footers() if footer["gap"] != "0"]
    assert [(gap["gap"], gap["rows"], gap["first_seq"], gap["next_first"]) for gap in gaps] == [
        ("50", "0", "50", "100")
    ]


async def test_a_recreated_hub_is_refused_until_accepted(world, lake):
    """A re-created hub stops ingest with the remedy; once accepted, it lands beside the old rows for good."""
    await send(world, readings(1, 51))
    async with ingesting(world):
        await until(lambda: len(lake.keys()) == 50)
    world.hub.delete_hub("telemetry")
    world.hub.create_hub("telemetry")
    await send(world, readings(51, 101))

    with pytest.raises(HubRecreated, match="FLEETPRICE_INGEST_ACCEPT_RECREATED=telemetry"):
        async with ingesting(world) as running:
            await asyncio.wait([running.task], timeout=PATIENCE_S)

    async with ingesting(world, accept_recreated="telemetry"):
        await until(lambda: len(lake.keys()) == 100)
    await send(world, readings(101, 151))
    async with ingesting(world):  # the flag is not needed any more
        await until(lambda: len(lake.keys()) == 150)
    assert_once(lake, 150)
