"""Reading a chain: its newest file, and the footer of any.

Folders never go back along a chain, so the newest file of a partition stands in the newest folder that has
one of its files, whatever other partitions have in newer ones. Where a hint names a folder with a file of
the chain, it is followed from there; otherwise folders are walked from the newest, never the whole lake. A
listing that lags behind only costs a lost race for a slot.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pyarrow.parquet as pq

from shared.lake.client import Lake
from shared.lake.parquet import FOOTER_READ_BYTES, footer_size, read_metadata
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.hints import read_hints
from shared.lake.slots.root import Root
from shared.lake.slots.slot import ChainKey, hour_folder, parse_hour_folder, parse_slot_name
from shared.service.errors import HubRecreated, NeedsAttention

_DATED = re.compile(r"date=\d{4}-\d{2}-\d{2}|hour=\d{2}")


async def read_footer(lake: Lake, path: str) -> Footer | None:
    """What a committed file says of itself; None where there is no file."""
    metadata = await read_file_metadata(lake, path)
    return None if metadata is None else Footer.from_key_values(metadata.metadata or {}, path)


async def read_file_metadata(lake: Lake, path: str) -> pq.FileMetaData | None:
    """A file's Parquet footer, from its last bytes; None where there is no file."""
    tail = await lake.read_tail(path, FOOTER_READ_BYTES)
    if tail is None:
        return None
    try:
        size_bytes = footer_size(tail)
        if size_bytes > len(tail):
            tail = await lake.read_tail(path, size_bytes) or b""
        return read_metadata(tail)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise NeedsAttention(f"{path} is no readable Parquet ({error}): move it away") from error


async def find_heads(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, Head]:
    """Where each chain goes on: after its newest file, or at its root where it has none.

    Raises HubRecreated where a chain's newest file and its root are of different hubs.
    """
    heads = await _hinted_heads(lake, stream, roots)
    unknown = {lane: root for lane, root in roots.items() if lane not in heads}
    newest = await _newest_slots(lake, stream, unknown) if unknown else {}
    for lane, root in unknown.items():
        footer = await _read_chain_footer(lake, newest[lane], root, lane) if lane in newest else None
        heads[lane] = footer.head if footer is not None else root.head
    return heads


async def _hinted_heads(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, Head]:
    """Heads of the chains that have a file where a hint says so, each followed along its footers."""
    hours = await read_hints(lake, stream)
    at = {lane: hours[lane] for lane in roots if lane in hours}
    heads: dict[ChainKey, Head] = {}
    while at:
        hour = min(at.values())
        here = {lane for lane in at if at[lane] == hour}
        newest = await _newest_in(lake, stream, f"raw/{stream}/{hour_folder(hour)}", here)
        for lane in sorted(here):
            del at[lane]
            footer = (
                await _read_chain_footer(lake, newest[lane], roots[lane], lane) if lane in newest else None
            )
            if footer is not None:
                heads[lane] = footer.head
                if footer.head.next_hour > hour:
                    at[lane] = footer.head.next_hour
    return heads


async def _read_chain_footer(lake: Lake, path: str, root: Root, lane: ChainKey) -> Footer | None:
    footer = await read_footer(lake, path)
    if footer is not None and footer.created_at != root.created_at:
        raise HubRecreated(f"{path} and {lane.root} are of different hubs: one was copied in")
    return footer


async def _newest_slots(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, str]:
    found: dict[ChainKey, str] = {}
    # No file of a chain stands in a folder older than its root's.
    oldest = {lane: root.head.next_hour for lane, root in roots.items()}
    for date in await list_dated_folders(lake, f"raw/{stream}"):
        for folder in await list_dated_folders(lake, date):
            hour = parse_hour_folder(folder.removeprefix(f"raw/{stream}/"))
            wanted = {lane for lane in roots if lane not in found and oldest[lane] <= hour}
            if not wanted:
                return found
            found |= await _newest_in(lake, stream, folder, wanted)
    return found


async def _newest_in(
    lake: Lake, stream: str, folder: str, wanted: AbstractSet[ChainKey]
) -> dict[ChainKey, str]:
    newest: dict[ChainKey, tuple[int, str]] = {}
    async for file in lake.list(folder, recursive=False):
        slot = parse_slot_name(stream, file.path.rpartition("/")[2])
        if slot is not None and slot[0] in wanted:
            lane, first = slot
            newest[lane] = max(newest.get(lane, (-1, "")), (first, file.path))
    return {lane: path for lane, (_, path) in newest.items()}


async def list_dated_folders(lake: Lake, path: str) -> list[str]:
    """The `date=…` or `hour=…` folders right below, newest first; somebody else's left out."""
    return sorted(
        [
            item.path
            async for item in lake.list(path, recursive=False, directories=True)
            if item.is_directory and _DATED.fullmatch(item.path.rpartition("/")[2])
        ],
        reverse=True,
    )
