"""Blob checkpoints: a hint for KEDA and people. Nothing here starts from them, so a failure costs nothing."""

from dataclasses import dataclass

import structlog
from azure.core.exceptions import AzureError

from shared.lake.slots.footer import Head
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore

log = structlog.get_logger()


@dataclass(slots=True)
class CheckpointHint:
    """Notes how far a hub's partitions have landed. `namespace` is known once the first partition opens."""

    store: ResumingCheckpointStore
    hub: str
    consumer_group: str
    namespace: str = ""

    async def note(self, partition: int, head: Head, *, is_first: bool = False) -> None:
        """Write the partition's checkpoint; one that is ahead already stays.

        Not where this is the first of the hub's (`is_first`): that one is of another hub, re-created since,
        and an autoscaler would take the way back for 2^63 events.
        """
        if not self.namespace:
            return
        checkpoint = {
            "fully_qualified_namespace": self.namespace,
            "eventhub_name": self.hub,
            "consumer_group": self.consumer_group,
            "partition_id": str(partition),
            "sequence_number": head.next_first - 1,
            "offset": head.last_offset or "-1",
        }
        try:
            if is_first:
                await self.store.replace_checkpoint(checkpoint)
            else:
                await self.store.update_checkpoint(checkpoint)
        except AzureError as error:
            log.warning("checkpoint_not_written", hub=self.hub, partition=partition, reason=str(error))
