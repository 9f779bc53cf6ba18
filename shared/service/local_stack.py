"""Where the local stack on a directory is reached: `world.json` in it, true while `emulator.lock` is held.

The emulator holds the lock for all its life, whoever started it; what it says at `ready` is the file.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.service.errors import NeedsAttention

_WORLD_FILE, _LOCK_FILE = "world.json", "emulator.lock"


class World(Struct, frozen=True):
    """Connection strings and the admin listener's URL; the rest of the `ready` object is for people."""

    event_hubs: str
    storage: str
    admin: str = ""


def write_world(data: Path, ready: Mapping[str, object]) -> None:
    """Say where the stack on `data` is reached; call it with the lock held, before saying `ready`."""
    staged = data / f"{_WORLD_FILE}.{os.getpid()}"
    staged.touch(mode=0o600)  # it holds the keys
    staged.write_bytes(msgspec.json.encode(ready))
    staged.rename(data / _WORLD_FILE)


def is_in_use(data: Path) -> bool:
    """Whether an emulator runs on `data`."""
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


def running_world(data: Path) -> World | None:
    """The world of the stack that runs on `data`; None where none does.

    Raises NeedsAttention where one runs that does not say how it is reached.
    """
    if not is_in_use(data):
        return None
    path = data / _WORLD_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=World)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise NeedsAttention(
            f"{data} is in use and {path} does not say how it is reached: "
            "set FLEETPRICE_EVENT_HUBS and FLEETPRICE_STORAGE"
        ) from error
