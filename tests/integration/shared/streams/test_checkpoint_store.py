import asyncio

import pytest
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from services.emulator.storage.faults import Fault
from shared.service.errors import SettingsError
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection

# The SDK's own first back-off is 12 s at the least.
SOON_S = 10

CLAIM = {
    "fully_qualified_namespace": "127.0.0.1",
    "eventhub_name": "telemetry",
    "consumer_group": "ingest",
    "partition_id": "0",
    "owner_id": "one",
}


async def test_a_storage_that_refuses_once_costs_no_owner_its_partitions(world):
    """A claim that storage refused is tried again well before the ownership expires."""
    busy = Fault("fail", path_prefix="checkpoints/", times=1)
    async with checkpoint_store(world.checkpoint_connection) as store:
        with world.storage.faults.inject(busy) as armed:
            async with asyncio.timeout(SOON_S):
                await store.claim_ownership([CLAIM])
        assert armed.struck == 1
        [owned] = await store.list_ownership("127.0.0.1", "telemetry", "ingest")
    assert owned["owner_id"] == "one"


async def test_a_claim_expires_by_its_owners_expiry(world):
    """A process with an expiry of 8 s leaves claims alone that last 60 s and are renewed every 10 s."""
    async with (
        checkpoint_store(world.checkpoint_connection) as slow,
        checkpoint_store(world.checkpoint_connection) as quick,
    ):
        slow.claim_expiry_s, quick.claim_expiry_s = 60.0, 8.0
        [claimed] = await slow.claim_ownership([CLAIM])
        [seen] = await quick.list_ownership("127.0.0.1", "telemetry", "ingest")
        [own] = await slow.list_ownership("127.0.0.1", "telemetry", "ingest")
        await slow.release()
        [released] = await quick.list_ownership("127.0.0.1", "telemetry", "ingest")
    assert claimed["owner_id"] == own["owner_id"] == seen["owner_id"] == "one"
    assert own["last_modified_time"] == claimed["last_modified_time"]
    assert seen["last_modified_time"] + quick.claim_expiry_s == claimed["last_modified_time"] + 60.0
    assert released["owner_id"] == ""


async def test_a_claim_of_another_program_expires_by_ours(world):
    """A claim that carries no expiry, as the SDK's own store writes it, is judged by the SDK's rule."""
    async with checkpoint_store(world.checkpoint_connection) as ours:
        ours.claim_expiry_s = 8.0
        plain = BlobCheckpointStore.from_connection_string(
            world.checkpoint_connection.address, world.checkpoint_connection.container
        )
        async with plain:
            [claimed] = await plain.claim_ownership([CLAIM])
        [seen] = await ours.list_ownership("127.0.0.1", "telemetry", "ingest")
    assert (seen["owner_id"], seen["last_modified_time"]) == ("one", claimed["last_modified_time"])


async def test_an_expiry_below_the_interval_is_refused(world):
    """A process whose claims would expire before it renews them does not start, and the message says why."""
    connection = HubConnection("Endpoint=sb://127.0.0.1;SharedAccessKeyName=a;SharedAccessKey=b;", 10.0, 8.0)
    async with checkpoint_store(world.checkpoint_connection) as store:
        with pytest.raises(SettingsError, match="OWNERSHIP_EXPIRY_S is 8, and claims are renewed every 10 s"):
            consumer_client(connection, "telemetry", "ingest", store)


@pytest.mark.parametrize("ends_well", [True, False])
async def test_a_partition_that_was_not_given_back_is_abandoned(world, ends_well):
    """A claim that expired shows that its owner ended abnormally; one that was given back does not."""
    async with (
        checkpoint_store(world.checkpoint_connection) as former,
        checkpoint_store(world.checkpoint_connection) as next_owner,
    ):
        former.claim_expiry_s, next_owner.claim_expiry_s = -1.0, 60.0  # it has expired as soon as it is made
        await former.claim_ownership([CLAIM])
        if ends_well:
            await former.release()
        [claim] = await next_owner.list_ownership("127.0.0.1", "telemetry", "ingest")
        await next_owner.claim_ownership([{**claim, "owner_id": "two"}])
        assert next_owner.abandoned == (set() if ends_well else {0})


async def test_a_partition_taken_over_from_a_living_owner_is_not_abandoned(world):
    """A rolling restart and a rebalancing are no abnormal ends: nothing is tried in a child process."""
    async with (
        checkpoint_store(world.checkpoint_connection) as former,
        checkpoint_store(world.checkpoint_connection) as next_owner,
    ):
        former.claim_expiry_s = next_owner.claim_expiry_s = 60.0
        await former.claim_ownership([CLAIM])
        [claim] = await next_owner.list_ownership("127.0.0.1", "telemetry", "ingest")
        await next_owner.claim_ownership([{**claim, "owner_id": "two"}])
        assert next_owner.abandoned == set()
