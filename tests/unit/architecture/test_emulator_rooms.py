"""Import rules of the emulator's rooms, checked in its source."""

import pytest

from tests.unit.architecture.test_imports import INPUT_AND_OUTPUT, ROOT, effects_of, imports_of, sources_of

EMULATOR = "services.emulator"
STORAGE = f"{EMULATOR}.storage"
# Each room of the storage service imports itself and the rooms before it.
ROOMS = ("model", "store", "wire", "auth", "operations")


def folder_of(package):
    return package.replace(".", "/")


def imports_from(folder, package):
    """Yield each module below a folder with each name that it imports from a package."""
    for path in sources_of(folder):
        for name in imports_of(path):
            if name.startswith(f"{package}."):
                yield path.relative_to(ROOT), name


@pytest.mark.parametrize("room", ROOMS)
def test_storage_rooms_import_downwards(room):
    """The model imports no disk access, the store no HTTP, and only the server imports every room."""
    allowed = {f"{STORAGE}.{one}" for one in ROOMS[: ROOMS.index(room) + 1]}
    for path, name in imports_from(f"{folder_of(STORAGE)}/{room}", STORAGE):
        assert ".".join(name.split(".")[:4]) in allowed, f"{path} imports {name}"


def test_every_storage_room_has_its_place():
    """A new room must be added to the order; beside the rooms there are only the server and its faults."""
    names = {path.name for path in (ROOT / folder_of(STORAGE)).iterdir()} - {"__pycache__"}
    assert names == {"__init__.py", "faults.py", "server.py", *ROOMS}


def test_the_storage_model_is_pure():
    """Rules of leases, rights and names can be tested without a disk or a network."""
    for path in sources_of(f"{folder_of(STORAGE)}/model"):
        assert not {name.split(".")[0] for name in imports_of(path)} & INPUT_AND_OUTPUT, path
        assert not list(effects_of(path)), path


@pytest.mark.parametrize(("service", "other"), [("storage", "event_hubs"), ("event_hubs", "storage")])
def test_the_two_services_are_independent(service, other):
    """Storage and Event Hubs share the clock, the listener, faults and identities, and nothing else."""
    found = imports_from(f"{folder_of(EMULATOR)}/{service}", EMULATOR)
    assert not [(path, name) for path, name in found if name.startswith(f"{EMULATOR}.{other}")]


@pytest.mark.parametrize("room", ["identity", "tls"])
def test_identity_and_tls_import_no_service(room):
    """Tokens and certificates are the same for every service."""
    for path, name in imports_from(f"{folder_of(EMULATOR)}/{room}", EMULATOR):
        assert f"{name}.".startswith(f"{EMULATOR}.{room}."), f"{path} imports {name}"
