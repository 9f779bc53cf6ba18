"""The hubs of a namespace and their identity on disk: `<hub>/hub.json` and a log per partition beside it."""

import os
import re
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from services.emulator.event_hubs.log_file import sync_directory
from services.emulator.event_hubs.partition_log import PartitionLog
from services.emulator.event_hubs.readers import PartitionReaders
from services.emulator.event_hubs.sas import LISTEN, MANAGE, SEND, SharedKey
from shared.errors import FleetpriceError
from shared.log_events import EventLog

log = EventLog(__name__)

DEFAULT_GROUP = "$Default"
MAX_KEYS = 12
MAX_PARTITIONS = 1024
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_GROUP = re.compile(r"\$Default|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")
_DELETED = ".deleted-"


class HubRefused(FleetpriceError):
    """A hub cannot be made as asked; the message says why."""


class HubUnknown(FleetpriceError):
    """There is no hub of that name."""


class KeyUnknown(FleetpriceError):
    """The hub has no key of that name."""


class HubKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that opens one hub; the claim to manage it includes the others."""

    name: str
    value: str
    claims: tuple[Literal["Listen", "Send", "Manage"], ...] = ("Listen", "Send", "Manage")


class HubDescription(msgspec.Struct, frozen=True):
    """What stands in hub.json. Without a list of consumer groups, every one exists."""

    name: str
    created_at_ms: int
    partition_count: int
    consumer_groups: tuple[str, ...] | None
    retention_hours: float
    keys: tuple[HubKey, ...] = ()


class Hub:
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
        """Whose turn it is among events without a key."""
        partition = self._next_partition
        self._next_partition = (partition + 1) % len(self.logs)
        return partition

    def readers(self, group: str, partition: int) -> PartitionReaders:
        return self._readers[group.lower(), partition]


class HubRegistry:
    """All hubs under `directory`, opened. `open_log` makes or recovers the log of one partition."""

    def __init__(self, directory: Path, open_log: Callable[[Path], PartitionLog]) -> None:
        self._directory = directory
        self._open_log = open_log
        self._hubs: dict[str, Hub] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(directory.iterdir()):
            if path.name.startswith(_DELETED):
                shutil.rmtree(path)
            elif (path / "hub.json").exists():
                self._load(path)

    def __iter__(self) -> Iterator[Hub]:
        return iter(list(self._hubs.values()))

    def own_keys(self) -> list[SharedKey]:
        """The keys that hubs have of their own."""
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
        """Make the hub, or give the one that is there where it has as many partitions. Raises HubRefused.

        Without a list of keys, those that the hub has stay as they are.
        """
        groups = None if consumer_groups is None else tuple(dict.fromkeys((DEFAULT_GROUP, *consumer_groups)))
        own_keys = None if keys is None else tuple(keys)
        check(name, partition_count, groups, retention_hours)
        _check_keys(own_keys or ())
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
                self._write(wanted)
                hub.description = wanted
            return hub
        description = HubDescription(
            name, time.time_ns() // 1_000_000, partition_count, groups, retention_hours, own_keys or ()
        )
        self._write(description)
        log.info("hub_created", hub=name, partitions=partition_count)
        return self._load(self._directory / name.lower())

    def delete(self, name: str) -> Hub:
        """Forget the hub and its events. Raises HubUnknown."""
        hub = self._hubs.pop(name.lower(), None)
        if hub is None:
            raise HubUnknown(f"there is no hub {name}")
        # Renamed first: a crash in the middle leaves nothing that looks like a hub.
        doomed = self._directory / f"{_DELETED}{uuid.uuid4()}"
        (self._directory / hub.name.lower()).rename(doomed)
        sync_directory(self._directory)
        for partition in hub.logs:
            partition.abandon()
        shutil.rmtree(doomed)
        log.info("hub_deleted", hub=hub.name)
        return hub

    def close(self) -> None:
        for hub in self._hubs.values():
            for partition in hub.logs:
                partition.close()
        self._hubs.clear()

    def _load(self, path: Path) -> Hub:
        description = msgspec.json.decode((path / "hub.json").read_bytes(), type=HubDescription)
        logs = [self._open_log(path / str(number)) for number in range(description.partition_count)]
        hub = Hub(description, logs)
        self._hubs[description.name.lower()] = hub
        return hub

    def _write(self, description: HubDescription) -> None:
        path = self._directory / description.name.lower()
        path.mkdir(exist_ok=True)
        scratch = path / "hub.json-new"
        # For its owner alone: it may hold keys.
        with open(scratch, "wb", opener=partial(os.open, mode=0o600)) as file:
            file.write(msgspec.json.encode(description))
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(path / "hub.json")
        sync_directory(path)
        sync_directory(self._directory)


def check(name: str, partition_count: int, groups: tuple[str, ...] | None, retention_hours: float) -> None:
    """Raises HubRefused where no hub can be made like that."""
    if not _NAME.fullmatch(name):
        raise HubRefused(
            "a hub's name has letters, digits, '.', '-' and '_', and begins and ends with no sign"
        )
    if not 1 <= partition_count <= MAX_PARTITIONS:
        raise HubRefused(f"a hub has 1 to {MAX_PARTITIONS} partitions")
    if retention_hours <= 0:
        raise HubRefused("events are kept for more than 0 hours")
    for group in groups or ():
        if not _GROUP.fullmatch(group):
            raise HubRefused(f"{group!r} cannot be a consumer group's name")


def _check_keys(keys: tuple[HubKey, ...]) -> None:
    if len(keys) > MAX_KEYS:
        raise HubRefused(f"a hub has at most {MAX_KEYS} keys of its own")
    if len({key.name for key in keys}) < len(keys):
        raise HubRefused("a hub's keys have different names")
    if not all(key.name and key.value and key.claims for key in keys):
        raise HubRefused("a key has a name, a value and at least one claim")
