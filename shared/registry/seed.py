"""Seeding of the lake's model registry with the models shipped with the project."""

from pathlib import Path

from shared.lake.client import Lake
from shared.registry.layout import CHAMPION_FILE, PRICE, champion_path
from shared.registry.shipped import shipped_models
from shared.registry.store import add_version
from shared.service.errors import NeedsAttention
from shared.service.logs import log


async def seed_registry(lake: Lake) -> None:
    """Copy the shipped price models to the lake if the lake has no champion.

    The pointer is written last and nothing is overwritten, so after a crash in between the next call
    completes the copy. Raises NeedsAttention if no price models are shipped.
    """
    if await lake.exists(champion_path(PRICE)):
        return
    shipped = shipped_models()
    if shipped is None:
        raise NeedsAttention("no price model is shipped with this installation: install it again")
    versions = {folder.name: _read_files(folder) for folder in sorted(shipped.iterdir()) if folder.is_dir()}
    for version, files in versions.items():
        await add_version(lake, version, PRICE, files)
    await lake.create_if_absent(champion_path(PRICE), (shipped / CHAMPION_FILE).read_bytes())
    log.info("registry_seeded", files=sum(map(len, versions.values())))


def _read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
