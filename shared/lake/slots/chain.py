"""Readers of chains in the lake: the newest file of each chain, and the footer of any file.

The folders along a chain never go back in time. So a partition's newest file is in the newest folder that has
any file of that partition, even if other partitions have files in newer folders. If a hint names a folder
with a file of the chain, the chain is followed from that folder. Otherwise the folders are searched, starting
at the newest, and never the whole lake. A listing that lags behind costs no more than a lost race for a slot.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import pyarrow.parquet as pq

from shared.lake.client import Lake
from shared.lake.parquet import FOOTER_READ_BYTES, footer_size, read_metadata
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.hints import read_hints
from shared.lake.slots.root import Root
from shared.lake.slots.slot import ChainKey, hour_folder, parse_hour_folder, parse_slot_name
from shared.service.errors import DamagedFile, HubRecreated

_DATED = re.compile(r"date=\d{4}-\d{2}-\d{2}|hour=\d{2}")


async def read_footer(lake: Lake, path: str) -> Footer | None:
    """Read the footer of a committed file. Return None if the file does not exist.

    Raises DamagedFile if the file is not readable Parquet, NeedsAttention if ingest did not write it.
    """
    metadata = await read_file_metadata(lake, path)
    return None if metadata is None else Footer.from_key_values(metadata.metadata or {}, path)


async def read_file_metadata(lake: Lake, path: str) -> pq.FileMetaData | None:
    """Read a file's Parquet metadata from its last bytes. Return None if the file does not exist.

    Raises DamagedFile if the file is not readable Parquet.
    """
    tail = await lake.read_tail(path, FOOTER_READ_BYTES)
    if tail is None:
        return None
    try:
        size_bytes = footer_size(tail)
        if size_bytes > len(tail):
            tail = await lake.read_tail(path, size_bytes) or b""
        return read_metadata(tail)
    except (ValueError, OSError) as error:  # pyarrow's errors are both
        raise DamagedFile(f"{path} is no readable Parquet ({error}): move it away") from error


async def find_heads(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, Head]:
    """Find the head of each chain: the end of its newest file, or the chain's root if it has no file.

    Raises HubRecreated if a chain's newest file and its root belong to different hubs.
    """
    heads = await _find_hinted_heads(lake, stream, roots)
    unknown = {chain: root for chain, root in roots.items() if chain not in heads}
    newest = await _find_newest_paths(lake, stream, unknown) if unknown else {}
    for chain, root in unknown.items():
        heads[chain] = await _read_head(lake, newest.get(chain), root, chain) or root.head
    return heads


async def _find_hinted_heads(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, Head]:
    """Find the head of each chain that has a valid hint, by following the footers from the hinted folder."""
    hours = await read_hints(lake, stream)
    next_hours = {chain: hours[chain] for chain in roots if chain in hours}
    heads: dict[ChainKey, Head] = {}
    while next_hours:
        hour = min(next_hours.values())
        here = {chain for chain in next_hours if next_hours[chain] == hour}
        newest = await _list_newest_paths(lake, stream, f"raw/{stream}/{hour_folder(hour)}", here)
        for chain in sorted(here):
            del next_hours[chain]
            head = await _read_head(lake, newest.get(chain), roots[chain], chain)
            if head is not None:
                heads[chain] = head
                if head.next_hour > hour:
                    next_hours[chain] = head.next_hour
    return heads


async def _read_head(lake: Lake, path: str | None, root: Root, chain: ChainKey) -> Head | None:
    metadata = await read_file_metadata(lake, path) if path is not None else None
    if path is None or metadata is None:
        return None
    footer = Footer.from_key_values(metadata.metadata or {}, path)
    if footer.created_at != root.created_at:
        raise HubRecreated(f"{path} and {chain.root} are of different hubs: one was copied in")
    return replace(footer.head, columns=metadata.schema.to_arrow_schema())


async def _find_newest_paths(lake: Lake, stream: str, roots: Mapping[ChainKey, Root]) -> dict[ChainKey, str]:
    found: dict[ChainKey, str] = {}
    # No file of a chain stands in a folder older than its root's.
    oldest = {chain: root.head.next_hour for chain, root in roots.items()}
    for date in await list_dated_folders(lake, f"raw/{stream}"):
        for folder in await list_dated_folders(lake, date):
            hour = parse_hour_folder(folder.removeprefix(f"raw/{stream}/"))
            wanted = {chain for chain in roots if chain not in found and oldest[chain] <= hour}
            if not wanted:
                return found
            found |= await _list_newest_paths(lake, stream, folder, wanted)
    return found


async def _list_newest_paths(
    lake: Lake, stream: str, folder: str, wanted: AbstractSet[ChainKey]
) -> dict[ChainKey, str]:
    newest: dict[ChainKey, tuple[int, str]] = {}
    async for file in lake.list(folder, recursive=False):
        slot = parse_slot_name(stream, file.path.rpartition("/")[2])
        if slot is not None and slot[0] in wanted:
            chain, first = slot
            newest[chain] = max(newest.get(chain, (-1, "")), (first, file.path))
    return {chain: path for chain, (_, path) in newest.items()}


async def list_dated_folders(lake: Lake, path: str) -> list[str]:
    """List the `date=…` and `hour=…` folders directly below `path`, newest first; skip all other entries."""
    return sorted(
        [
            item.path
            async for item in lake.list(path, recursive=False, directories=True)
            if item.is_directory and _DATED.fullmatch(item.path.rpartition("/")[2])
        ],
        reverse=True,
    )
