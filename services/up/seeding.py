"""The lake's model registry begins with the models shipped with the project."""

from pathlib import Path

from shared.errors import NeedsAttention
from shared.lake import Lake
from shared.logs import log

REGISTRY = "models/price"
_POINTER = "champion.json"

_SERVICES = Path(__file__).parents[1]
# In a wheel the models lie in the scorer's package, in a checkout at the repository's root.
_SHIPPED = (_SERVICES / "scorer" / "models" / "price", _SERVICES.parent / "models" / "price")


async def seed_registry(lake: Lake) -> None:
    """Copy the shipped models where the lake has no champion. Raises NeedsAttention where none are shipped.

    The pointer goes last and nothing is overwritten: a crash in between leaves a seeding to be finished.
    """
    if await lake.exists(f"{REGISTRY}/{_POINTER}"):
        return
    shipped = next((folder for folder in _SHIPPED if (folder / _POINTER).is_file()), None)
    if shipped is None:
        raise NeedsAttention("no price model is shipped with this installation: install it anew")
    files = [path for path in sorted(shipped.rglob("*")) if path.is_file() and path.name != _POINTER]
    for path in [*files, shipped / _POINTER]:
        await lake.create_if_absent(f"{REGISTRY}/{path.relative_to(shipped).as_posix()}", path.read_bytes())
    log.info("registry_seeded", files=len(files))
