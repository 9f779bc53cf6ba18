"""The sink is the checkpoint: an unmodified EventProcessor resumes from where the sink says."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from shared.credentials import process_credential
from shared.settings import WorldSettings

# Partition ids → the last sequence number that the sink holds; one left out starts at the oldest event.
ResumePoints = Callable[[Sequence[str]], Awaitable[dict[str, int]]]


class ResumingCheckpointStore(BlobCheckpointStore):
    """Ownership and checkpoints in blobs, as people and KEDA read them; start positions from the sink.

    A checkpoint's offset beats the processor's `starting_position`, and an int in its place becomes a filter
    on the sequence number [azure-eventhub 5.15.1, `event_position_selector`]. What `resume` raises reaches
    the processor's `on_error` with no partition, and the claim is tried again at the next balancing.
    """

    resume: ResumePoints | None = None
    _owned: tuple[str, ...] = ()

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **options: Any
    ) -> Iterable[dict[str, Any]]:
        """Claim as the SDK does, noting what was won."""
        claimed = list(await super().claim_ownership(ownership_list, **options))
        self._owned = tuple(claim["partition_id"] for claim in claimed if claim["owner_id"])
        return claimed

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **options: Any
    ) -> Iterable[dict[str, Any]]:
        """Start positions of the partitions last claimed; the blobs are a hint and are not asked."""
        if self.resume is None:
            return list(
                await super().list_checkpoints(
                    fully_qualified_namespace, eventhub_name, consumer_group, **options
                )
            )
        points = await self.resume(self._owned)
        return [
            {
                "fully_qualified_namespace": fully_qualified_namespace,
                "eventhub_name": eventhub_name,
                "consumer_group": consumer_group,
                "partition_id": partition_id,
                "sequence_number": last,
                "offset": last,
            }
            for partition_id, last in points.items()
        ]


def checkpoint_store(settings: WorldSettings, resume: ResumePoints | None = None) -> ResumingCheckpointStore:
    """The store that the settings name; an async context manager."""
    world = settings.checkpoints_or_storage()
    container = settings.checkpoint_container
    if "AccountName=" in world:
        store = cast(
            "ResumingCheckpointStore", ResumingCheckpointStore.from_connection_string(world, container)
        )
    else:
        store = ResumingCheckpointStore(world, container, credential=process_credential())
    store.resume = resume
    return store
