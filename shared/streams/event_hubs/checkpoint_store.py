"""The sink is the checkpoint: the SDK's unmodified EventProcessor resumes where the sink ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, cast

import structlog
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from shared.service.credentials import process_credential
from shared.streams.event_hubs.connection import CheckpointConnection

log = structlog.get_logger()

# Partition ids → the last sequence number in the sink; a partition left out starts at the oldest event.
ResumePoints = Callable[[Sequence[str]], Awaitable[dict[str, int]]]

# The SDK's own back-off begins at 15 s: by one refused claim an owner would lose its partitions.
_RETRIES: dict[str, Any] = {
    "initial_backoff": 0.5,
    "increment_base": 1,
    "random_jitter_range": 0.5,
    "retry_total": 3,
    "connection_timeout": 5,
    "read_timeout": 10,
}

# In a claim's blob this stands between the owner's id and the seconds after which the claim expires.
_EXPIRY = ";expires_s="


class ResumingCheckpointStore(BlobCheckpointStore):
    """A store of ownership and checkpoints in blobs that takes start positions from the sink.

    The checkpoint blobs are for people and KEDA. A start position from the sink is passed to the processor as
    a checkpoint whose offset is an int: a checkpoint's offset overrides the processor's `starting_position`,
    and an int becomes a filter on the sequence number [azure-eventhub 5.15.1, `event_position_selector`]. If
    `resume` raises an exception, the processor's `on_error` gets it without a partition, and the claim is
    tried again at the next balancing.

    A claim carries the time after which it expires, `claim_expiry_s`, and all processes of ours honour it.
    The SDK's processor applies its own expiry to the claims of others: a process that renews every 10 s
    would lose its partitions again and again to one with an expiry of 8 s.

    `abandoned` holds the partitions that were won from an owner that ended without giving them back.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.claim_expiry_s = 0.0  # set by `consumer_client`
        self.resume: ResumePoints | None = None
        self.abandoned: set[int] = set()
        self._expired: set[str] = set()
        self._owned: tuple[str, ...] = ()
        self._place = ("", "", "")
        self._held: dict[str, dict[str, Any]] = {}
        self._claiming = asyncio.Lock()
        self._is_released = asyncio.Event()
        self._is_released.set()

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **options: Any
    ) -> Iterable[dict[str, Any]]:
        """Return all claims, as the SDK's store does.

        `last_modified_time` is shifted so that each claim expires by its own expiry when ours is applied.
        """
        claims = await super().list_ownership(
            fully_qualified_namespace, eventhub_name, consumer_group, **options
        )
        for claim in claims:
            # The SDK gives None for the empty owner of a released partition.
            claim["owner_id"], separator, expiry_s = (claim["owner_id"] or "").partition(_EXPIRY)
            if separator:
                claim["last_modified_time"] += float(expiry_s) - self.claim_expiry_s
        oldest_s = time.time() - self.claim_expiry_s
        self._expired = {
            claim["partition_id"]
            for claim in claims
            if claim["owner_id"] and claim["last_modified_time"] < oldest_s
        }
        return claims

    async def _upload_ownership(self, ownership: dict[str, Any], **options: Any) -> None:
        # The SDK calls this for each claim and writes only the owner's id [1.2.0]; a release has no owner.
        owner = ownership["owner_id"]
        ownership["owner_id"] = owner and f"{owner}{_EXPIRY}{self.claim_expiry_s:g}"
        try:
            await super()._upload_ownership(ownership, **options)
        finally:
            ownership["owner_id"] = owner

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **options: Any
    ) -> Iterable[dict[str, Any]]:
        """Claim or release partitions as the SDK's store does, and record which were won or given back.

        Calls run one at a time, and each runs to its end even if the caller is cancelled. Otherwise the
        outcome of an interrupted claim would be unknown, and partitions that it won or renewed could not be
        given back.
        """
        return await asyncio.shield(asyncio.create_task(self._claim(list(ownership_list), options)))

    async def _claim(
        self, ownerships: Sequence[dict[str, Any]], options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        async with self._claiming:
            claimed = list(await super().claim_ownership(ownerships, **options))
            won = {claim["partition_id"]: claim for claim in claimed if claim["owner_id"]}
            newly_won = won.keys() - self._held.keys()
            self.abandoned -= set(map(int, newly_won))
            self.abandoned |= set(map(int, newly_won & self._expired))
            if won:  # a release comes alone in its list and must not empty a claim under way
                self._owned = tuple(won)
                self._held = won
                self._is_released.clear()
            for claim in claimed:
                if not claim["owner_id"]:
                    self._held.pop(claim["partition_id"], None)
            if not self._held:
                self._is_released.set()
            return claimed

    async def release(self) -> None:
        """Give back the partitions still held; call this once receiving has ended.

        The SDK gives back only partitions to which it has links, and uses the etags of the last claim that it
        saw complete. This method gives back the partitions that were won or renewed while the SDK was being
        stopped.
        """
        async with self._claiming:
            held = [{**claim, "owner_id": ""} for claim in self._held.values()]
        if held:
            await self.claim_ownership(held)

    async def wait_released(self) -> None:
        """Wait until every partition that was won is given back."""
        await self._is_released.wait()

    async def read_hints(self) -> dict[str, int]:
        """Return the sequence number in each partition's checkpoint blob; used only if the sink is empty."""
        checkpoints = await super().list_checkpoints(*self._place)
        return {one["partition_id"]: one["sequence_number"] for one in checkpoints}

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **options: Any
    ) -> Iterable[dict[str, Any]]:
        """Return the start positions of the partitions last claimed, taken from the sink.

        If `resume` is None, return the checkpoints in the blobs.
        """
        if self.resume is None:
            return list(
                await super().list_checkpoints(
                    fully_qualified_namespace, eventhub_name, consumer_group, **options
                )
            )
        self._place = (fully_qualified_namespace, eventhub_name, consumer_group)
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

    async def note_progress(
        self, partition: int, sequence_number: int, offset: str, *, is_first: bool = False
    ) -> bool:
        """Write a partition's checkpoint, a hint for people and autoscalers, unless a later one exists.

        With `is_first`, overwrite even a later checkpoint: it belongs to a hub that was re-created since, and
        an autoscaler would take the negative distance for 2^63 events. Return whether the write succeeded. A
        failure is only logged, because no reader starts from a checkpoint unless the sink is empty.
        """
        namespace, hub, group = self._place
        checkpoint = {
            "fully_qualified_namespace": namespace,
            "eventhub_name": hub,
            "consumer_group": group,
            "partition_id": str(partition),
            "sequence_number": sequence_number,
            "offset": offset,
        }
        try:
            if is_first:
                await super().update_checkpoint(checkpoint)
            else:
                await self.update_checkpoint(checkpoint)
        except AzureError as error:
            log.warning("checkpoint_not_written", hub=hub, partition=partition, reason=error.message)
            return False
        return True

    async def update_checkpoint(self, checkpoint: dict[str, Any], **options: Any) -> None:
        """Write a checkpoint unless an equal or later one exists.

        So a stale owner cannot move the checkpoint back.
        """
        name = "{fully_qualified_namespace}/{eventhub_name}/{consumer_group}/checkpoint/{partition_id}"
        try:
            known = await self._get_blob_client(name.format_map(checkpoint).lower()).get_blob_properties()
        except ResourceNotFoundError:
            await super().update_checkpoint(checkpoint, **options)
            return
        if int(known.metadata.get("sequencenumber", -1)) < checkpoint["sequence_number"]:
            with suppress(ResourceModifiedError):  # another owner has just written one
                await super().update_checkpoint(checkpoint, if_match=known.etag, **options)


def checkpoint_store(
    connection: CheckpointConnection, resume: ResumePoints | None = None
) -> ResumingCheckpointStore:
    """Make the store for the connection's container; use the store as an async context manager."""
    if "AccountName=" in connection.address:
        store = cast(
            "ResumingCheckpointStore",
            ResumingCheckpointStore.from_connection_string(
                connection.address, connection.container, **_RETRIES
            ),
        )
    else:
        store = ResumingCheckpointStore(
            connection.address, connection.container, credential=process_credential(), **_RETRIES
        )
    store.resume = resume
    return store
