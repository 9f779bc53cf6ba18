"""The root of a chain: which hub fills it, and where its first file stands.

Written once per partition and hub, if absent; who loses that race reads the winner's.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from shared.lake.client import Lake
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import ChainKey, hour_folder, parse_hour_folder, parse_root_name, roots_folder
from shared.service.errors import HubRecreated, NeedsAttention, SinkUnavailable

FORMAT_VERSION = 1


class Root(Struct, frozen=True):
    """`created_at` is the hub's; its event `first` opens the chain, in `folder`.

    `layout` is how the chain's files are named and what their footers say: a reader that does not know it
    must leave them alone.
    """

    created_at: str
    first: int
    folder: str
    layout: int = FORMAT_VERSION

    @property
    def head(self) -> Head:
        return Head(self.first, parse_hour_folder(self.folder))


def root_at_hour(created_at: str, first: int, hour: int) -> Root:
    """The root of a chain whose first event was enqueued in `hour`."""
    return Root(created_at, first, hour_folder(hour))


async def create_root(lake: Lake, lane: ChainKey, root: Root) -> Root:
    """Write the root, or read the one that another writer was first with.

    Raises HubRecreated where that is of another hub.
    """
    # A crash before this leaves no root, after it one without files: the next start goes on from there.
    if await lake.create_if_absent(lane.root, msgspec.json.encode(root)):
        return root
    standing = await _read_root(lake, lane)
    if standing is None:
        raise SinkUnavailable(f"{lane.root} exists but cannot be read")
    if standing.created_at != root.created_at:
        raise HubRecreated(_remedy(lane.stream, standing.created_at, root.created_at))
    return standing


async def find_chains(
    lake: Lake, stream: str, partitions: Sequence[int], created_at: str, *, accept_recreated: bool
) -> dict[ChainKey, Root | None]:
    """The chain of each partition that the hub created then fills, with its root if it has one.

    Raises HubRecreated where the stream's chains are all of other hubs, unless a new one is accepted; once
    one partition has begun a chain for the new hub, the others follow.
    """
    roots = await all_roots(lake, stream)
    is_known = not roots or any(root.created_at == created_at for root in roots.values())
    if not is_known and not accept_recreated:
        raise HubRecreated(_remedy(stream, next(iter(roots.values())).created_at, created_at))
    return dict(_find_chain(stream, partition, created_at, roots) for partition in partitions)


def _find_chain(
    stream: str, partition: int, created_at: str, roots: Mapping[ChainKey, Root]
) -> tuple[ChainKey, Root | None]:
    newest = 0
    for lane, root in roots.items():
        if lane.partition == partition:
            if root.created_at == created_at:
                return lane, root
            newest = max(newest, lane.generation)
    return ChainKey(stream, partition, newest + 1), None


async def all_roots(lake: Lake, stream: str) -> dict[ChainKey, Root]:
    """Every chain of a stream, those of earlier hubs too."""
    found = {}
    async for file in lake.list(roots_folder(stream), recursive=False):
        lane = parse_root_name(stream, file.path.rpartition("/")[2])
        if lane is not None and (root := await _read_root(lake, lane)) is not None:
            found[lane] = root
    return dict(sorted(found.items()))


async def _read_root(lake: Lake, lane: ChainKey) -> Root | None:
    data = await lake.read(lane.root)
    if data is None:
        return None
    try:
        root = msgspec.json.decode(data, type=Root)
        parse_hour_folder(root.folder)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise NeedsAttention(
            f"{lane.root} is not a chain's root ({error}): restore or move it away"
        ) from error
    if root.layout != FORMAT_VERSION:
        raise NeedsAttention(
            f"{lane.root} is of layout {root.layout}, this release knows {FORMAT_VERSION}: "
            "use the release that wrote it, or name another file system"
        )
    return root


def _remedy(stream: str, known: str, found: str) -> str:
    return (
        f"the hub of {stream} was created at {found}, but the lake was filled from one created at {known}: "
        f"to land it beside the old rows set FLEETPRICE_INGEST_ACCEPT_RECREATED={stream}, "
        "otherwise name another file system or the old hub"
    )
