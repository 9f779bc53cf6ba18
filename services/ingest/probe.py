"""Whether the lake takes files again, asked by writing one."""

from uuid import uuid4

from shared.lake.client import Lake
from shared.lake.slots.slot import staging_folder

_SIZE_BYTES = 2**20


async def try_to_write(lake: Lake, stream: str) -> None:
    """Raises SinkUnavailable, or SettingsError, where the lake takes no file now."""
    path = f"{staging_folder(stream)}/probe-{uuid4().hex}"
    await lake.write(path, bytes(_SIZE_BYTES))
    # A crash before this leaves a file that nobody reads.
    await lake.delete(path)
