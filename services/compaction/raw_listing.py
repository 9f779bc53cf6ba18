"""Listings of the raw files that are not compacted yet, date by date."""

from collections.abc import AsyncIterator, Mapping

from services.compaction.file_groups import RawFile
from shared.lake.client import Lake
from shared.lake.slots.chain import list_dated_folders
from shared.lake.slots.root import Root
from shared.lake.slots.slot import ChainKey, parse_hour_folder, parse_slot_name

Waiting = dict[ChainKey, list[RawFile]]


async def list_dates(
    lake: Lake, stream: str, roots: Mapping[ChainKey, Root], positions: Mapping[ChainKey, int]
) -> list[str]:
    """Return the `date=…` folders that may have files at or after the chains' positions, oldest first.

    Sequence numbers and folders rise together along a chain. So the search goes back in time and ends for a
    chain at the newest date with a file that starts at or before the chain's position, or at the date of the
    chain's root. An idle chain costs a listing for each date since its last file.
    """
    dates: list[str] = []
    unseen = set(positions)
    for date in await list_dated_folders(lake, f"raw/{stream}"):
        dates.append(date)
        async for chain, file in _list_raw_files(lake, stream, date):
            if chain in unseen and file.first <= positions[chain]:
                unseen.discard(chain)
        unseen = {chain for chain in unseen if roots[chain].folder < date.rpartition("/")[2]}
        if not unseen:
            break
    return dates[::-1]


async def list_date(lake: Lake, stream: str, date: str, positions: Mapping[ChainKey, int]) -> Waiting:
    """Return the files of one date that start at or after their chain's position, in order for each chain."""
    found: Waiting = {}
    async for chain, file in _list_raw_files(lake, stream, date):
        if chain in positions and file.first >= positions[chain]:
            found.setdefault(chain, []).append(file)
    return {chain: sorted(files) for chain, files in sorted(found.items())}


async def _list_raw_files(lake: Lake, stream: str, date: str) -> AsyncIterator[tuple[ChainKey, RawFile]]:
    async for file in lake.list(date):
        folder, _, name = file.path.removeprefix(f"raw/{stream}/").rpartition("/")
        if slot := parse_slot_name(stream, name):
            chain, first = slot
            modified_at_s = file.modified_at.timestamp()
            yield chain, RawFile(first, parse_hour_folder(folder), file.path, file.size_bytes, modified_at_s)
