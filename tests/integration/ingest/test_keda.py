"""What an autoscaler computes from our checkpoints: KEDA's azure-eventhub scaler, strategy blobMetadata.

Its formula and where it looks are written down here from kedacore/keda v2, azure_eventhub_scaler.go
(`calculateUnprocessedEvents`) and azure_eventhub_checkpoint.go (`blobMetadataCheckpointer`).
"""

import asyncio

from azure.eventhub.aio import EventHubConsumerClient

from tests.conftest import PATIENCE_S
from tests.integration.ingest.conftest import checkpoints, ingesting, json_event, next_sequence, send, until

PARTITIONS = 4
MAX_INT64 = 2**63 - 1
STALE_PARTITION_INFO_THRESHOLD = 10_000


def unprocessed(last, checkpoint):
    """KEDA's lag of one partition; its int64 does not overflow here."""
    if last == -1:
        return 0
    count = last - checkpoint if last >= checkpoint else MAX_INT64 - checkpoint + last
    return 0 if count > MAX_INT64 - STALE_PARTITION_INFO_THRESHOLD else count


async def lag(world, group="ingest"):
    """What KEDA reports for the hub; a checkpoint that is not where it looks is a KeyError here."""
    host = f"127.0.0.1:{world.hub.port}"
    blobs = await checkpoints(world)
    client = EventHubConsumerClient.from_connection_string(
        world.hub.connection_string, group, eventhub_name="telemetry"
    )
    total = 0
    async with client:
        for partition in await client.get_partition_ids():
            last = (await client.get_partition_properties(partition))["last_enqueued_sequence_number"]
            metadata = blobs[f"{host}/telemetry/{group}/checkpoint/{partition}"]
            assert metadata["offset"]
            total += unprocessed(last, int(metadata["sequencenumber"]))
    return total


async def test_an_autoscaler_sees_what_has_not_landed(world, lake):
    """KEDA's lag is nothing once all has landed, and what is held or waits in the hub before that."""
    await send(world, [json_event(1, number) for number in range(1, 101)], partition="2")
    async with ingesting(world, roll_max_age_s=3_600.0):
        await until(lambda: next_sequence("2") == 100)
        async with asyncio.timeout(PATIENCE_S):
            while len(await checkpoints(world)) < PARTITIONS:  # noqa: ASYNC110 - blobs tell nobody
                await asyncio.sleep(0.05)
        assert await lag(world) == 100
    assert len(lake.keys()) == 100
    assert await lag(world) == 0

    await send(world, [json_event(1, number) for number in range(101, 131)], partition="3")
    assert await lag(world) == 30
