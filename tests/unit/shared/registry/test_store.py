"""Which version of a model is read, from the lake or from those shipped."""

import json

import pytest

from shared.registry.layout import MANIFEST_FILE
from shared.registry.store import read_from_lake, read_shipped
from shared.service.errors import ModelUnusable


class FolderOfFiles:
    """A lake that can be read, over a dict of files."""

    def __init__(self, **files):
        self.files = {f"models/price/{path}": body for path, body in files.items()}

    async def read(self, path):
        return self.files.get(path)


async def test_the_lakes_champion_is_served(shipped):
    """The lake's pointer names the version, unless a version is asked for by name."""
    manifest = json.loads(shipped[MANIFEST_FILE]) | {"version": "2"}
    second = {**shipped, MANIFEST_FILE: json.dumps(manifest).encode()}
    folders = {"1": shipped, "2": second, "4": second}
    files = {
        f"{version}/{name}": body for version, folder in folders.items() for name, body in folder.items()
    }
    lake = FolderOfFiles(**files, **{"champion.json": b'{"version":"2"}'})
    assert await read_from_lake(lake, None) == second
    assert await read_from_lake(lake, "1") == shipped
    with pytest.raises(ModelUnusable, match="models/price/3"):
        await read_from_lake(lake, "3")
    with pytest.raises(ModelUnusable, match="by its own manifest"):
        await read_from_lake(lake, "4")


async def test_an_empty_registry_has_no_champion():
    """A lake without a pointer has no version to read: the shipped model is used."""
    assert await read_from_lake(FolderOfFiles(), None) is None


@pytest.mark.parametrize("version", ["../secrets", "", "..", "a/b", ".hidden"])
async def test_a_pointer_stays_within_the_registry(version):
    """A version is one folder's name: a path that leads elsewhere is refused."""
    pointer = json.dumps({"version": version}).encode()
    with pytest.raises(ModelUnusable, match="no version"):
        await read_from_lake(FolderOfFiles(**{"champion.json": pointer}), None)
    with pytest.raises(ModelUnusable, match="no version"):
        read_shipped(version)
