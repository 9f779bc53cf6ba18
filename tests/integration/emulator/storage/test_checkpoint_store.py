import asyncio

import pytest
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

WHERE = {"fully_qualified_namespace": "ns", "eventhub_name": "telemetry", "consumer_group": "$Default"}


@pytest.fixture
async def store(storage):
    async with BlobCheckpointStore.from_connection_string(storage.connection_string, "checkpoints") as store:
        yield store


def claim(owner, partition="0", **ownership):
    return [WHERE | {"partition_id": partition, "owner_id": owner} | ownership]


async def test_a_partition_is_claimed_once(store):
    """Of two processors that claim a partition at the same time, one succeeds."""
    results = await asyncio.gather(*(store.claim_ownership(claim(f"owner-{index}")) for index in range(8)))
    winners = [claimed for claimed in results if claimed]
    assert len(winners) == 1
    (listed,) = await store.list_ownership(*WHERE.values())
    assert listed["owner_id"] == winners[0][0]["owner_id"]
    assert not await store.claim_ownership(claim("late"))


async def test_an_owner_renews_and_another_steals_by_etag(store):
    """A steal with the listed etag succeeds, and the former owner's renewal then fails."""
    (mine,) = await store.claim_ownership(claim("one"))
    (renewed,) = await store.claim_ownership([mine])
    assert renewed["etag"] != mine["etag"]
    (listed,) = await store.list_ownership(*WHERE.values())
    (stolen,) = await store.claim_ownership([listed | {"owner_id": "two"}])
    assert stolen["owner_id"] == "two"
    assert not await store.claim_ownership([renewed])


async def test_checkpoints_are_kept(store):
    """The newest checkpoint of each partition is listed."""
    for sequence_number in range(20):
        checkpoint = {"partition_id": "1", "offset": str(sequence_number * 100)}
        await store.update_checkpoint(WHERE | checkpoint | {"sequence_number": sequence_number})
    (listed,) = await store.list_checkpoints(*WHERE.values())
    assert (listed["offset"], listed["sequence_number"]) == ("1900", 19)
