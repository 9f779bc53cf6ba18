"""Versions of a model: read from the lake's registry or from what is shipped, and added to the lake's."""

from collections.abc import Mapping

from shared.lake.client import Lake
from shared.registry.champion import decode_champion
from shared.registry.layout import (
    CHAMPION_FILE,
    GRAPH_FILE,
    MANIFEST_FILE,
    PRICE,
    TREES_FILE,
    champion_path,
    check_version,
    version_path,
)
from shared.registry.model_manifest import decode_manifest
from shared.registry.shipped import shipped_models
from shared.service.errors import ModelUnusable

_FILES = (MANIFEST_FILE, GRAPH_FILE, TREES_FILE)


async def read_from_lake(lake: Lake, version: str | None, name: str = PRICE) -> dict[str, bytes] | None:
    """Return the files of `version`, or of the champion; None if the lake's registry has no champion.

    Raises ModelUnusable for a broken pointer, and for a version that is not there.
    """
    if version is None:
        pointer = await lake.read(champion_path(name))
        if pointer is None:
            return None
        version = decode_champion(pointer).version
    return await read_version(lake, version, name)


async def read_version(lake: Lake, version: str, name: str) -> dict[str, bytes]:
    """Return the files of a version. Raises ModelUnusable if it is not there, or another is in its place."""
    folder = version_path(name, version)
    files = {file: body for file in _FILES if (body := await lake.read(f"{folder}/{file}")) is not None}
    if not files:
        raise ModelUnusable(f"the lake has no {folder}")
    return _check_name(files, version, name)


async def add_version(lake: Lake, version: str, name: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a version that are not there yet; one that is there is never changed.

    The manifest is written last: a crash before it leaves files to be completed, and no version to be read.
    """
    folder = version_path(name, version)
    for file in sorted(files, key=lambda one: (one == MANIFEST_FILE, one)):
        await lake.create_if_absent(f"{folder}/{file}", files[file])


def read_shipped(version: str | None, name: str = PRICE) -> dict[str, bytes]:
    """Return the files of `version`, or of the shipped champion. Raises ModelUnusable if there is none."""
    registry = shipped_models(name)
    if registry is None:
        raise ModelUnusable(f"no {name} model is shipped with this installation, and the lake has none")
    if version is None:
        pointer = registry / CHAMPION_FILE
        if not pointer.is_file():
            raise ModelUnusable(f"no {CHAMPION_FILE} is shipped with this installation")
        version = decode_champion(pointer.read_bytes()).version
    folder = registry / check_version(version)
    if not folder.is_dir():
        raise ModelUnusable(f"version {version} is not shipped with this installation")
    files = {file: (folder / file).read_bytes() for file in _FILES if (folder / file).is_file()}
    return _check_name(files, version, name)


def _check_name(files: dict[str, bytes], version: str, name: str) -> dict[str, bytes]:
    """Return `files` if their manifest has the folder's name and version, which every prediction carries."""
    if MANIFEST_FILE in files:
        manifest = decode_manifest(files[MANIFEST_FILE])
        if (manifest.name, manifest.version) != (name, version):
            raise ModelUnusable(
                f"{version_path(name, version)} holds {manifest.name} {manifest.version} by its own manifest"
            )
    return files
