"""A consumer in its own process, to be killed: it reads what balancing gives it and reports it.

One line an event, `partition sequence_number`, written before the checkpoint is: whatever is checkpointed has
been said.
"""

import asyncio
import sys

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

BALANCING = {
    "load_balancing_interval": 0.5,
    "partition_ownership_expiration_interval": 4,
    "load_balancing_strategy": "balanced",
}


async def read(hubs, storage, hub):
    async def on_batch(context, events):
        for event in events:
            sys.stdout.write(f"{context.partition_id} {event.sequence_number}\n")
        sys.stdout.flush()
        await context.update_checkpoint(events[-1] if events else None)

    client = EventHubConsumerClient.from_connection_string(
        hubs,
        consumer_group="$Default",
        eventhub_name=hub,
        checkpoint_store=BlobCheckpointStore.from_connection_string(storage, "checkpoints"),
        **BALANCING,
    )
    await client.receive_batch(on_batch, starting_position="-1")


if __name__ == "__main__":
    asyncio.run(read(*sys.argv[1:]))
