import asyncio

from services.emulator.storage.faults import Fault
from shared.streams.event_hubs.checkpoint_store import checkpoint_store

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
