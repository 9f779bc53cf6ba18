"""The order of the emulator's rooms, read from its source."""

import pytest

from tests.unit.architecture.test_imports import ROOT, imports_of, sources_of

STORAGE = "services/emulator/storage"
# Each room of the storage service imports itself and the rooms before it.
ROOMS = ("model", "store", "wire", "auth", "operations")


@pytest.mark.parametrize("room", ROOMS)
def test_storage_rooms_import_downwards(room):
    """The rules of storage know no disk, the disk knows no HTTP, and only the server knows them all."""
    package = STORAGE.replace("/", ".")
    allowed = {f"{package}.{one}" for one in ROOMS[: ROOMS.index(room) + 1]}
    for path in sources_of(f"{STORAGE}/{room}"):
        for name in imports_of(path):
            if name.startswith(f"{package}."):
                assert ".".join(name.split(".")[:4]) in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_every_storage_room_has_its_place():
    """A new room is put into the order; beside the rooms lie only the server and its faults."""
    names = {path.name for path in (ROOT / STORAGE).iterdir()} - {"__pycache__"}
    assert names == {"__init__.py", "faults.py", "server.py", *ROOMS}
