"""The hubs of a namespace on disk: each has a `hub.json` with its identity, and a log per partition."""

import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from services.emulator.event_hubs.hub_description import (
    DEFAULT_GROUP,
    MAX_PARTITIONS,
    HubDescription,
    HubKey,
    HubRefused,
    check_hub,
    check_keys,
)
from services.emulator.event_hubs.readers import PartitionReaders
from services.emulator.event_hubs.sas import LISTEN, MANAGE, SEND, SharedKey
from services.emulator.log.partition_log import PartitionLog
from shared.service.atomic_file import sync_directory
from shared.service.errors import FleetpriceError
from shared.service.log_events import EventLog

log = EventLog(__name__)

_DELETED = ".deleted-"


class HubUnknown(FleetpriceError):
    """There is no hub with this name."""


class KeyUnknown(FleetpriceError):
    """The hub has no key with this name."""


class Hub:
    """A hub's description, its logs by partition, and its readers."""

    def __init__(self, description: HubDescription, logs: list[PartitionLog]) -> None:
        self.description = description
        self.logs = logs
        self._readers: defaultdict[tuple[str, int], PartitionReaders] = defaultdict(PartitionReaders)
        self._next_partition = 0

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def keys(self) -> list[SharedKey]:
        every = frozenset({LISTEN, SEND, MANAGE})
        return [
            SharedKey(
                key.name,
                key.value,
                every if MANAGE in key.claims else frozenset(key.claims),
                self.name.lower(),
            )
            for key in self.description.keys
        ]

    def has_group(self, group: str) -> bool:
        groups = self.description.consumer_groups
        return groups is None or group.lower() in {name.lower() for name in groups}

    def partition(self, partition_id: str) -> int | None:
        if (
            partition_id.isdecimal()
            and partition_id.isascii()
            and len(partition_id) <= len(str(MAX_PARTITIONS))
        ):
            number = int(partition_id)
            return number if number < len(self.logs) and str(number) == partition_id else None
        return None

    def next_partition(self) -> int:
        """Return the partition for the next delivery without a partition key, in rotation."""
        partition = self._next_partition
        self._next_partition = (partition + 1) % len(self.logs)
        return partition

    def readers(self, group: str, partition: int) -> PartitionReaders:
        return self._readers[group.lower(), partition]


class HubRegistry:
    """All hubs under `directory`.

    `open_log` creates or recovers the log of one partition. `in_background` runs slow work (deleting
    gigabytes); by default, the work runs at once in the caller.
    """

    def __init__(
        self,
        directory: Path,
        open_log: Callable[[Path], PartitionLog],
        in_background: Callable[[Callable[[], None]], None] = lambda work: work(),
    ) -> None:
        self._directory = directory
        self._open_log = open_log
        self._in_background = in_background
        self._hubs: dict[str, Hub] = {}
        self._last_created_ms = 0
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(directory.iterdir()):
            if path.name.startswith(_DELETED):
                in_background(partial(shutil.rmtree, path))
            elif (path / "hub.json").exists():
                self._load(path)

    def __iter__(self) -> Iterator[Hub]:
        return iter(list(self._hubs.values()))

    def own_keys(self) -> list[SharedKey]:
        """Return the keys that belong to single hubs rather than to the namespace."""
        return [key for hub in self._hubs.values() for key in hub.keys]

    def find(self, name: str) -> Hub | None:
        return self._hubs.get(name.lower())

    def create(
        self,
        name: str,
        partition_count: int = 4,
        consumer_groups: Iterable[str] | None = None,
        retention_hours: float = 24,
        keys: Iterable[HubKey] | None = None,
    ) -> Hub:
        """Create the hub, or update and return the existing one.

        If `consumer_groups` is omitted, any group is accepted; if `keys` is omitted, an existing hub keeps
        its keys. Raises HubRefused if the properties are not allowed or would change the number of
        partitions.
        """
        groups = None if consumer_groups is None else tuple(dict.fromkeys((DEFAULT_GROUP, *consumer_groups)))
        own_keys = None if keys is None else tuple(keys)
        check_hub(name, partition_count, groups, retention_hours)
        check_keys(own_keys or ())
        if hub := self.find(name):
            if hub.description.partition_count != partition_count:
                raise HubRefused(f"hub {name} exists with {hub.description.partition_count} partitions")
            wanted = msgspec.structs.replace(
                hub.description,
                consumer_groups=groups,
                retention_hours=retention_hours,
                keys=hub.description.keys if own_keys is None else own_keys,
            )
            if wanted != hub.description:
                wanted.save(self._directory / name.lower())
                hub.description = wanted
            return hub
        # It is the hub's identity, so it differs even from that of a hub deleted in the same millisecond.
        created_at_ms = max(time.time_ns() // 1_000_000, self._last_created_ms + 1)
        made = HubDescription(name, created_at_ms, partition_count, groups, retention_hours, own_keys or ())
        path = self._directory / name.lower()
        made.save(path)
        hub = self._load(path)
        sync_directory(path)
        log.info("hub_created", hub=name, partitions=partition_count)
        return hub

    def delete(self, name: str) -> Hub:
        """Delete the hub and its events. Raises HubUnknown if there is no such hub."""
        hub = self._hubs.pop(name.lower(), None)
        if hub is None:
            raise HubUnknown(f"there is no hub {name}")
        for partition in hub.logs:
            partition.abandon()
        # Renamed first, so that a crash in between leaves nothing that looks like a hub.
        deleted = self._directory / f"{_DELETED}{uuid.uuid4()}"
        (self._directory / hub.name.lower()).rename(deleted)
        sync_directory(self._directory)
        self._in_background(partial(shutil.rmtree, deleted))
        log.info("hub_deleted", hub=hub.name)
        return hub

    def close(self) -> None:
        for hub in self._hubs.values():
            for partition in hub.logs:
                partition.close()
        self._hubs.clear()

    def _load(self, path: Path) -> Hub:
        description = HubDescription.load(path)
        logs = [self._open_log(path / str(number)) for number in range(description.partition_count)]
        hub = Hub(description, logs)
        self._hubs[description.name.lower()] = hub
        self._last_created_ms = max(self._last_created_ms, description.created_at_ms)
        return hub
