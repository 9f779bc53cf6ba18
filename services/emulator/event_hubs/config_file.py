"""Config.json, the configuration file of Microsoft's Event Hubs emulator.

    {"UserConfig": {"NamespaceConfig": [{"Type": "EventHub", "Name": …, "Entities": [
        {"Name": …, "PartitionCount": "2", "ConsumerGroups": [{"Name": …}]}]}], "LoggingConfig": …}}

Microsoft's emulator allows one namespace, which must be named emulatorNs1, with at most 10 hubs, 32
partitions and 20 groups. Of these limits, only the single namespace applies here. Names that are not in the
file's schema are ignored, as in Microsoft's emulator, unless they look like a misspelt name of the schema.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from services.emulator.event_hubs.declared_hubs import DeclaredHub
from services.emulator.event_hubs.hub_description import DEFAULT_GROUP, HubRefused, check_hub
from shared.service.errors import SettingsError

_EVENT_HUB = "EventHub"


class _ConsumerGroup(msgspec.Struct, frozen=True, rename="pascal"):
    name: str


class _Entity(msgspec.Struct, frozen=True, rename="pascal"):
    name: str
    partition_count: int | str
    consumer_groups: tuple[_ConsumerGroup, ...] = ()


class _Namespace(msgspec.Struct, frozen=True, rename="pascal"):
    type: str
    name: str
    entities: tuple[_Entity, ...]


class _UserConfig(msgspec.Struct, frozen=True, rename="pascal"):
    namespace_config: tuple[_Namespace, ...]
    logging_config: Any = None


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    user_config: _UserConfig


_NAMES = (
    "UserConfig",
    "NamespaceConfig",
    "LoggingConfig",
    "Type",
    "Name",
    "Entities",
    "PartitionCount",
    "ConsumerGroups",
)


def read_config(path: Path) -> tuple[DeclaredHub, ...]:
    """Read the hubs that the file declares.

    Raises SettingsError with a message of one line if the file cannot be read or is invalid.
    """
    try:
        return parse_config(path.read_bytes())
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise SettingsError(f"{path}: {exc}") from exc


def parse_config(text: bytes) -> tuple[DeclaredHub, ...]:
    """Parse the hubs that a Config.json declares. Raises ValueError naming the part that is invalid."""
    namespace = _only_namespace(_decode(text))
    hubs = tuple(_declare(entity) for entity in namespace.entities)
    if duplicate := _find_duplicate(hub.name for hub in hubs):
        raise ValueError(f"hub {duplicate} is declared twice")
    return hubs


def _decode(text: bytes) -> _Config:
    try:
        found = json.loads(text.decode("utf-8-sig"))  # editors on Windows add a byte order mark
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise ValueError(f"not JSON: {exc}") from exc
    for name in _iterate_names(found):
        close = difflib.get_close_matches(name.lower(), [known.lower() for known in _NAMES], n=1, cutoff=0.85)
        if name not in _NAMES and close:
            meant = next(known for known in _NAMES if known.lower() == close[0])
            raise ValueError(f"{name} is not a name of its schema; did you mean {meant}?")
    try:
        return msgspec.convert(found, _Config)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


def _iterate_names(value: object) -> Iterator[str]:
    """Yield the names of all fields in the JSON value, except those below LoggingConfig."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name != "LoggingConfig":
                yield from _iterate_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _iterate_names(inner)


def _only_namespace(config: _Config) -> _Namespace:
    namespaces = config.user_config.namespace_config
    if len(namespaces) != 1:
        raise ValueError(f"NamespaceConfig has {len(namespaces)} namespaces; the emulator is one")
    if namespaces[0].type != _EVENT_HUB:
        raise ValueError(f"namespace {namespaces[0].name} is of Type {namespaces[0].type}, not {_EVENT_HUB}")
    return namespaces[0]


def _declare(entity: _Entity) -> DeclaredHub:
    groups = tuple(group.name for group in entity.consumer_groups if not _is_default(group.name))
    if duplicate := _find_duplicate(groups):
        raise ValueError(f"hub {entity.name}: consumer group {duplicate} is declared twice")
    hub = DeclaredHub(entity.name, _parse_partition_count(entity), (DEFAULT_GROUP, *groups))
    try:
        check_hub(hub.name, hub.partition_count, hub.consumer_groups, 1)
    except HubRefused as exc:
        raise ValueError(f"hub {entity.name!r}: {exc}") from exc
    return hub


def _is_default(group: str) -> bool:
    return group.lower() == DEFAULT_GROUP.lower()


def _parse_partition_count(entity: _Entity) -> int:
    count = entity.partition_count
    if isinstance(count, int):
        return count
    if not (count.isascii() and count.isdecimal()) or len(count) > len(str(2**31)):
        raise ValueError(f"hub {entity.name}: PartitionCount {count!r} is no whole number")
    return int(count)


def _find_duplicate(names: Iterable[str]) -> str | None:
    """Return, in lower case, the first of `names` that occurs twice, or None; case is ignored."""
    counts = Counter(name.lower() for name in names)
    return next((name for name, count in counts.items() if count > 1), None)
