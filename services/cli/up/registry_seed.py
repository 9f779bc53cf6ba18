"""The lake's model registry begins with the models shipped with the project."""

from shared.lake.client import Lake
from shared.registry.manifest import CHAMPION_FILE
from shared.registry.shipped import REGISTRY, shipped_models
from shared.service.errors import NeedsAttention
from shared.service.logs import log


async def seed_registry(lake: Lake) -> None:
    """Copy the shipped models where the lake has no champion. Raises NeedsAttention where none are shipped.

    The pointer goes last and nothing is overwritten: a crash in between leaves a seeding to be finished.
    """
    if await lake.exists(f"{REGISTRY}/{CHAMPION_FILE}"):
        return
    shipped = shipped_models()
    if shipped is None:
        raise NeedsAttention("no price model is shipped with this installation: install it anew")
    files = [path for path in sorted(shipped.rglob("*")) if path.is_file() and path.name != CHAMPION_FILE]
    for path in [*files, shipped / CHAMPION_FILE]:
        await lake.create_if_absent(f"{REGISTRY}/{path.relative_to(shipped).as_posix()}", path.read_bytes())
    log.info("registry_seeded", files=len(files))
