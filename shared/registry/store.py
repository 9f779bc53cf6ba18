"""Where versions of a model come from: the lake's registry, or what is shipped with the scorer."""

from shared.lake.client import Lake
from shared.registry.manifest import (
    CHAMPION_FILE,
    GRAPH_FILE,
    MANIFEST_FILE,
    TREES_FILE,
    decode_champion,
    decode_manifest,
)
from shared.registry.shipped import PRICE, registry_of, shipped_models
from shared.service.errors import ModelUnusable

_FILES = (MANIFEST_FILE, GRAPH_FILE, TREES_FILE)


def pointer_of(name: str) -> str:
    """Where the lake says which version of a model is served."""
    return f"{registry_of(name)}/{CHAMPION_FILE}"


async def read_from_lake(lake: Lake, version: str | None, name: str = PRICE) -> dict[str, bytes] | None:
    """Files of `version`, or of the champion; None where the lake's registry has none.

    Raises ModelUnusable where the pointer is broken or names a version that is not there.
    """
    if version is None:
        pointer = await lake.read(pointer_of(name))
        if pointer is None:
            return None
        version = decode_champion(pointer).version
    return await read_version(lake, version, name)


async def read_version(lake: Lake, version: str, name: str) -> dict[str, bytes]:
    """Its files; raises ModelUnusable where it is not there, or another is in its place."""
    folder = f"{registry_of(name)}/{_checked(version)}"
    files = {file: body for file in _FILES if (body := await lake.read(f"{folder}/{file}")) is not None}
    if not files:
        raise ModelUnusable(f"the lake has no {folder}")
    return _of_version(files, version, name)


def read_shipped(version: str | None, name: str = PRICE) -> dict[str, bytes]:
    """Files of `version`, or of the shipped champion; raises ModelUnusable where there is none."""
    registry = shipped_models(name)
    if registry is None:
        raise ModelUnusable(f"no {name} model is shipped with this installation, and the lake has none")
    if version is None:
        pointer = registry / CHAMPION_FILE
        if not pointer.is_file():
            raise ModelUnusable(f"no {CHAMPION_FILE} is shipped with this installation")
        version = decode_champion(pointer.read_bytes()).version
    folder = registry / _checked(version)
    if not folder.is_dir():
        raise ModelUnusable(f"version {version} is not shipped with this installation")
    files = {file: (folder / file).read_bytes() for file in _FILES if (folder / file).is_file()}
    return _of_version(files, version, name)


def _of_version(files: dict[str, bytes], version: str, name: str) -> dict[str, bytes]:
    """A prediction says which version made it, in its manifest's words: they must be the folder's."""
    if MANIFEST_FILE in files:
        manifest = decode_manifest(files[MANIFEST_FILE])
        if (manifest.name, manifest.version) != (name, version):
            raise ModelUnusable(
                f"{registry_of(name)}/{version} holds {manifest.name} {manifest.version} by its own manifest"
            )
    return files


def _checked(version: str) -> str:
    """A version is one folder's name; a pointer must not lead out of the registry."""
    if not version or version.startswith(".") or "/" in version or "\\" in version:
        raise ModelUnusable(f"{version!r} is no version")
    return version
