"""Where each chain stood lately: an empty file a lane, its name the hour of a folder that has its files.

Only a hint, which saves a start from looking through every folder since an idle partition's last file. What
it names is looked up in the lake, and where that has no file of the chain, the hint is of no use.
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


def _path(lane: ChainKey, hour: int) -> str:
    return f"{_folder(lane.stream)}/{lane.label}-at-{hour}"


async def write_hint(lake: Lake, lane: ChainKey, hour: int, before: int | None) -> None:
    """A file of the chain stands in that hour's folder; `before` is the hour noted last. Never raises for the
    lake's sake: without it the next start only takes longer.
    """
    try:
        await lake.write(_path(lane, hour), b"")
        if before is not None:
            await lake.delete(_path(lane, before))
    except SinkUnavailable:
        return


async def read_hints(lake: Lake, stream: str) -> dict[ChainKey, int]:
    """The newest hour noted for each lane."""
    hours: dict[ChainKey, int] = {}
    async for lane, hour in _list_hints(lake, stream):
        hours[lane] = max(hour, hours.get(lane, hour))
    return hours


async def clear_hints(lake: Lake, stream: str, lanes: AbstractSet[ChainKey]) -> None:
    """Delete what writers before left behind: all but the newest of each of these lanes."""
    newest = await read_hints(lake, stream)
    old = [(lane, hour) async for lane, hour in _list_hints(lake, stream) if hour < newest.get(lane, 0)]
    for lane, hour in old:
        if lane in lanes:
            await lake.delete(_path(lane, hour))


async def _list_hints(lake: Lake, stream: str) -> AsyncIterator[tuple[ChainKey, int]]:
    async for file in lake.list(_folder(stream), recursive=False):
        found = _HINT.fullmatch(file.path.rpartition("/")[2])
        lane = parse_root_name(stream, f"{found['label']}.json") if found else None
        if found is not None and lane is not None:
            yield lane, int(found["hour"])
