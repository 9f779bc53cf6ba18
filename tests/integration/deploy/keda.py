"""The lag that KEDA's azure-eventhub scaler computes from a hub and its checkpoints (strategy blobMetadata).

By the rules that its documentation and its source (kedacore/keda v2, `azure_eventhub_scaler.go` and
`azure_eventhub_checkpoint.go`) state, so that what we write is held against them without a cluster:

- an empty partition (last sequence number -1) has no lag, whatever its checkpoint says;
- one without a checkpoint counts all that is retained, but a lone event only where its number is 0;
- otherwise what lies above the checkpoint; a checkpoint above the end is taken for a counter that went
  round at 2^63 - 1, or, where that would be nearly all of it, for a stale answer: no lag;
- the sum is cut to as many thresholds as there are partitions once it is more than that many whole ones.
"""

import asyncio
from dataclasses import dataclass

from azure.eventhub.aio import EventHubConsumerClient

from tests.support.ingesting import checkpoints

_MAX_INT64 = 2**63 - 1
_STALE_EVENTS = 10_000


@dataclass(frozen=True)
class End:
    """The bounds of a partition, by the hub."""

    begin: int
    last: int


def unprocessed(end, checkpoint):
    """Return the events of a partition not yet processed; `checkpoint` is None if there is no blob."""
    if end.last == -1:
        return 0
    if checkpoint is None:
        is_lone = end.begin == end.last
        return 0 if is_lone and end.last != 0 else end.last - end.begin + 1
    above = end.last - checkpoint
    if above < 0:
        above += _MAX_INT64
    return 0 if above > _MAX_INT64 - _STALE_EVENTS else above


def reported(total, partitions, threshold):
    """Return the metric for the autoscaler: never for more pods than partitions."""
    return partitions * threshold if total // threshold > partitions else total


async def ends(world, hub):
    """Return the bounds of each partition."""
    client = EventHubConsumerClient.from_connection_string(
        world.hub.connection_string, "$Default", eventhub_name=hub
    )
    async with client:
        # Each question opens a connection of its own, most of which is the SDK's waiting: so all at once.
        partitions = [str(number) for number in range(len(world.hub.namespace.hubs.find(hub).logs))]
        told = await asyncio.gather(*map(client.get_partition_properties, partitions))
    return {
        one["id"]: End(one["beginning_sequence_number"], one["last_enqueued_sequence_number"]) for one in told
    }


async def recorded(world, hub, group):
    """Return the sequence number in each partition's checkpoint blob, from the place that KEDA reads."""
    blobs = await checkpoints(world)
    prefix = f"127.0.0.1:{world.hub.port}/{hub}/{group.lower()}/checkpoint/"
    return {
        name.removeprefix(prefix): int(metadata["sequencenumber"])
        for name, metadata in blobs.items()
        if name.startswith(prefix)
    }


async def lags(world, hub, group):
    """Return the lag that KEDA computes for each partition."""
    known = await recorded(world, hub, group)
    return {
        partition: unprocessed(end, known.get(partition))
        for partition, end in (await ends(world, hub)).items()
    }
