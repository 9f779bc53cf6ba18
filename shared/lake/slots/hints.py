"""Hints: empty files, one per chain, whose names hold the hour of a folder that has files of the chain.

With a hint, a start need not search all folders since an idle partition's last file. A hint may be wrong: the
reader looks into the folder, and ignores the hint if the folder has no file of the chain.
"""

import re
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet

from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey, parse_root_name
from shared.service.errors import SinkUnavailable

_HINT = re.compile(r"(?P<label>p\d{2,}(?:-g\d+)?)-at-(?P<hour>\d+)")


def _folder(stream: str) -> str:
    return f"_hints/raw/{stream}"


def _path(chain: ChainKey, hour: int) -> str:
    return f"{_folder(chain.stream)}/{chain.label}-at-{hour}"


async def write_hint(lake: Lake, chain: ChainKey, hour: int, before: int | None) -> None:
    """Record that the folder of `hour` has a file of the chain.

    `before` is the hour that was recorded last; its hint is deleted. An unavailable lake is ignored: without
    the hint the next start only takes longer.
    """
    try:
        await lake.write(_path(chain, hour), b"")
        if before is not None:
            await lake.delete(_path(chain, before))
    except SinkUnavailable:
        return


async def read_hints(lake: Lake, stream: str) -> dict[ChainKey, int]:
    """Return the newest recorded hour of each chain."""
    hours: dict[ChainKey, int] = {}
    async for chain, hour in _list_hints(lake, stream):
        hours[chain] = max(hour, hours.get(chain, hour))
    return hours


async def clear_hints(lake: Lake, stream: str, chains: AbstractSet[ChainKey]) -> None:
    """Delete the hints that earlier writers left for `chains`, except the newest hint of each chain."""
    newest = await read_hints(lake, stream)
    old = [(chain, hour) async for chain, hour in _list_hints(lake, stream) if hour < newest.get(chain, 0)]
    for chain, hour in old:
        if chain in chains:
            await lake.delete(_path(chain, hour))


async def _list_hints(lake: Lake, stream: str) -> AsyncIterator[tuple[ChainKey, int]]:
    async for file in lake.list(_folder(stream), recursive=False):
        found = _HINT.fullmatch(file.path.rpartition("/")[2])
        chain = parse_root_name(stream, f"{found['label']}.json") if found else None
        if found is not None and chain is not None:
            yield chain, int(found["hour"])
