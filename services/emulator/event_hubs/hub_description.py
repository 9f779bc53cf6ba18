"""The description of a hub, kept in its hub.json, and the limits on the properties of a hub."""

import re
from pathlib import Path
from typing import Literal

import msgspec

from shared.service.atomic_file import replace_file, sync_directory
from shared.service.errors import FleetpriceError, NeedsAttention

DEFAULT_GROUP = "$Default"
MAX_KEYS = 12
MAX_PARTITIONS = 1024
MAX_RETENTION_HOURS = 876_000  # a hundred years; Azure keeps 90 days at most
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_GROUP = re.compile(r"\$Default|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")


class HubRefused(FleetpriceError):
    """A hub cannot have the requested properties; the error's message says why."""


class HubKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key for one hub; the claim Manage includes the others."""

    name: str
    value: str
    claims: tuple[Literal["Listen", "Send", "Manage"], ...] = ("Listen", "Send", "Manage")


class HubDescription(msgspec.Struct, frozen=True):
    """The content of hub.json. If `consumer_groups` is None, any group is accepted."""

    name: str
    created_at_ms: int
    partition_count: int
    consumer_groups: tuple[str, ...] | None
    retention_hours: float
    keys: tuple[HubKey, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "HubDescription":
        """Load the description of the hub in the directory `path`.

        Raises NeedsAttention if hub.json is not valid.
        """
        try:
            return msgspec.json.decode((path / "hub.json").read_bytes(), type=cls)
        except msgspec.DecodeError as exc:
            raise NeedsAttention(
                f"{path / 'hub.json'} cannot be read ({exc}): mend it, or move the directory away"
            ) from exc

    def save(self, path: Path) -> None:
        """Write hub.json to the hub's directory `path` durably, and create the directory if it is missing."""
        path.mkdir(exist_ok=True)
        # Readable only by its owner, because it may hold keys.
        replace_file(path / "hub.json", msgspec.json.encode(self), mode=0o600, is_durable=True)
        sync_directory(path.parent)


def check_hub(
    name: str, partition_count: int, groups: tuple[str, ...] | None, retention_hours: float
) -> None:
    """Raises HubRefused if a hub cannot have this name, partition count, groups or retention."""
    if not _NAME.fullmatch(name):
        raise HubRefused(
            "a hub's name has letters, digits, '.', '-' and '_', and begins and ends with no sign"
        )
    if not 1 <= partition_count <= MAX_PARTITIONS:
        raise HubRefused(f"a hub has 1 to {MAX_PARTITIONS} partitions")
    if not 0 < retention_hours <= MAX_RETENTION_HOURS:
        raise HubRefused(f"events are kept for more than 0 and at most {MAX_RETENTION_HOURS:,} hours")
    for group in groups or ():
        if not _GROUP.fullmatch(group):
            raise HubRefused(f"{group!r} cannot be a consumer group's name")


def check_keys(keys: tuple[HubKey, ...]) -> None:
    """Raises HubRefused if a hub cannot have these keys."""
    if len(keys) > MAX_KEYS:
        raise HubRefused(f"a hub has at most {MAX_KEYS} keys of its own")
    if len({key.name for key in keys}) < len(keys):
        raise HubRefused("a hub's keys have different names")
    if not all(key.name and key.value and key.claims for key in keys):
        raise HubRefused("a key has a name, a value and at least one claim")
