"""Storage of model versions.

Versions are read from the lake's registry or from the shipped models, and added to the lake's registry.
"""

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
    """Return the files of `version`, or of the champion if `version` is None.

    Return None if the champion is wanted and the lake's registry has none. Raises ModelUnusable if the
    champion pointer is broken, if the version is missing, or if its manifest is broken or names another
    version.
    """
    if version is None:
        pointer = await lake.read(champion_path(name))
        if pointer is None:
            return None
        version = decode_champion(pointer).version
    return await read_version(lake, version, name)


async def read_version(lake: Lake, version: str, name: str) -> dict[str, bytes]:
    """Return the files of a version in the lake.

    Raises ModelUnusable if the version is missing, or if its manifest is broken or names another model or
    version.
    """
    folder = version_path(name, version)
    files = {file: body for file in _FILES if (body := await lake.read(f"{folder}/{file}")) is not None}
    if not files:
        raise ModelUnusable(f"the lake has no {folder}")
    return _check_name(files, version, name)


async def add_version(lake: Lake, version: str, name: str, files: Mapping[str, bytes]) -> None:
    """Write those files of a version that the lake does not have yet; existing files are never changed.

    The manifest is written last: a crash before that leaves an incomplete version, which cannot be loaded and
    which the next call completes.
    """
    folder = version_path(name, version)
    for file in sorted(files, key=lambda one: (one == MANIFEST_FILE, one)):
        await lake.create_if_absent(f"{folder}/{file}", files[file])


def read_shipped(version: str | None, name: str = PRICE) -> dict[str, bytes]:
    """Return the files of the shipped `version`, or of the shipped champion if `version` is None.

    Raises ModelUnusable if that version is not shipped, or if its manifest is broken or names another
    version.
    """
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
    """Return `files` if their manifest has the model name and version of the folder.

    Every prediction carries that name and version. Files without a manifest are returned unchecked. Raises
    ModelUnusable if the manifest is broken or names another model or version.
    """
    if MANIFEST_FILE in files:
        manifest = decode_manifest(files[MANIFEST_FILE])
        if (manifest.name, manifest.version) != (name, version):
            raise ModelUnusable(
                f"{version_path(name, version)} holds {manifest.name} {manifest.version} by its own manifest"
            )
    return files
