"""Reads the positions of readers from their checkpoint blobs, whichever process wrote them."""

from collections.abc import Mapping
from typing import Self

from services.cli.up.sustained_lag import HubPartition
from shared.service.settings import ConnectionSettings
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore, checkpoint_store
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection


class Checkpoints:
    """A reader of checkpoint blobs, as an async context manager.

    `groups` has the consumer group of each reader by the reader's name.
    """

    def __init__(self, settings: ConnectionSettings, groups: Mapping[str, str]) -> None:
        self._store: ResumingCheckpointStore = checkpoint_store(CheckpointConnection.from_settings(settings))
        self._namespace = HubConnection.from_settings(settings).namespace
        self._groups = groups

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._store.__aexit__(*raised)

    async def next_sequences(self, reader: str, hub: str) -> dict[HubPartition, int]:
        """Return, by hub and partition, the sequence number after the last checkpoint of `reader`.

        Raises AzureError if the storage does not answer.
        """
        found = await self._store.list_checkpoints(self._namespace, hub, self._groups[reader])
        return {(hub, one["partition_id"]): int(one["sequence_number"]) + 1 for one in found}
