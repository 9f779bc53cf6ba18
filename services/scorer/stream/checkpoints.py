"""Checkpoint blobs follow the output: a hint for people, KEDA, and an output that retention emptied."""

from azure.core.exceptions import AzureError
from azure.eventhub.aio import CheckpointStore, PartitionContext

from services.scorer.stream.worker import Progress
from shared.service.logs import log

NOTHING_YET = Progress(-1, "-1")


class CheckpointHint:
    """One partition's blob; written only where there is progress, and never worth stopping for."""

    def __init__(self, store: CheckpointStore, context: PartitionContext) -> None:
        self._store = store
        self._place: dict[str, str | int | None] = {
            "fully_qualified_namespace": context.fully_qualified_namespace,
            "eventhub_name": context.eventhub_name,
            "consumer_group": context.consumer_group,
            "partition_id": context.partition_id,
        }
        self._partition = int(context.partition_id)
        self._written: Progress | None = None

    async def follow(self, progress: Progress | None) -> None:
        """Have the blob say `progress`."""
        if progress is None or progress == self._written:
            return
        place = {**self._place, "sequence_number": progress.sequence, "offset": progress.offset}
        try:
            await self._store.update_checkpoint(place)
        except AzureError as error:
            log.warning("checkpoint_not_written", partition=self._partition, reason=error.message)
        else:
            self._written = progress
