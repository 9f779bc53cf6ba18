"""The addresses of the local stack that runs on a data directory.

They are in the directory's `world.json`, which is valid only while `emulator.lock` is held. The emulator
holds that lock as long as it runs, and writes its `ready` object into `world.json`.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from pydantic import SecretStr

from shared.service.atomic_file import replace_file
from shared.service.errors import NeedsAttention, SettingsError
from shared.service.settings import S

_ADDRESSES_FILE, _LOCK_FILE = "world.json", "emulator.lock"


class StackAddresses(Struct, frozen=True):
    """The addresses of a running stack: connection strings and the URL of the admin listener.

    All other fields of the emulator's `ready` object are ignored.
    """

    event_hubs: str
    storage: str
    admin: str = ""


def write_addresses(data: Path, ready: Mapping[str, object]) -> None:
    """Write the addresses of the stack on `data`, atomically.

    Call this while holding the lock, and before printing `ready`.
    """
    content = msgspec.json.encode(ready)
    replace_file(data / _ADDRESSES_FILE, content, mode=0o600)  # it contains keys


def is_in_use(data: Path) -> bool:
    """Return whether an emulator runs on `data`."""
    try:
        lock = os.open(data / _LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def find_running_stack(data: Path) -> StackAddresses | None:
    """Return the addresses of the stack that runs on `data`, or None if no stack runs there.

    Raises NeedsAttention if a stack runs but its addresses cannot be read.
    """
    if not is_in_use(data):
        return None
    path = data / _ADDRESSES_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackAddresses)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise NeedsAttention(
            f"{data} is in use and {path} does not say how it is reached: "
            "set FLEETPRICE_EVENT_HUBS and FLEETPRICE_STORAGE"
        ) from error


def read_running_stack(data: Path) -> StackAddresses:
    """Return the addresses of the stack that runs on `data`. Raises NeedsAttention if none runs there."""
    running = find_running_stack(data)
    if running is None:
        raise NeedsAttention(f"the stack on {data} has ended")
    return running


def with_addresses(settings: S, stack: StackAddresses) -> S:
    """Return a copy of the settings with the stack's connection strings."""
    named = {"event_hubs": SecretStr(stack.event_hubs), "storage": SecretStr(stack.storage)}
    return settings.model_copy(update=named)


def resolve_lake(settings: S, data: Path, variables: str) -> S:
    """Return settings with a storage account: the one set, or that of the stack running on `data`.

    Raises SettingsError if no account is set and no stack runs; the message names `variables`.
    """
    if settings.storage.get_secret_value():
        return settings
    running = find_running_stack(data)
    if running is None:
        raise SettingsError(
            f"nothing runs on {data}: start `fleetprice up`, name its directory with --data, "
            f"or set {variables}"
        )
    return with_addresses(settings, running)
