"""The root of a chain: it identifies the hub that fills the chain, and the slot of the chain's first file.

The root is written once per partition and hub, only if absent. A writer that loses the race to create it
reads the winner's root.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from shared.lake.client import Lake
from shared.lake.slots.footer import Head
from shared.lake.slots.slot import ChainKey, hour_folder, parse_hour_folder, parse_root_name, roots_folder
from shared.service.errors import HubRecreated, NeedsAttention, SinkUnavailable

FORMAT_VERSION = 1


class Root(Struct, frozen=True):
    """The start of a chain: event `first` of the hub created at `created_at`, in `folder`.

    `layout` is the version of the file names and footers: a reader that does not know this version must not
    touch the chain's files.
    """

    created_at: str
    first: int
    folder: str
    layout: int = FORMAT_VERSION

    @property
    def head(self) -> Head:
        return Head(self.first, parse_hour_folder(self.folder))


def root_at_hour(created_at: str, first: int, hour: int) -> Root:
    """Return the root of a chain whose first event, `first`, was enqueued in `hour`."""
    return Root(created_at, first, hour_folder(hour))


async def create_root(lake: Lake, chain: ChainKey, root: Root) -> Root:
    """Write the root, or return the existing root if another writer created one first.

    Raises HubRecreated if the existing root belongs to another hub, and SinkUnavailable if it cannot be read.
    """
    # A crash before this leaves no root, after it a root without files: the next start goes on from there.
    if await lake.create_if_absent(chain.root, msgspec.json.encode(root)):
        return root
    existing = await read_root(lake, chain)
    if existing is None:
        raise SinkUnavailable(f"{chain.root} exists but cannot be read")
    if existing.created_at != root.created_at:
        raise HubRecreated(_describe_recreated_hub(chain.stream, existing.created_at, root.created_at))
    return existing


async def find_chains(
    lake: Lake, stream: str, partitions: Sequence[int], created_at: str, *, accept_recreated: bool
) -> dict[ChainKey, Root | None]:
    """Find each partition's chain for the hub created at `created_at`, with its root or None.

    Raises HubRecreated if the stream has chains but all belong to other hubs, unless `accept_recreated`. Once
    one partition has a chain for the new hub, the other partitions may begin theirs without
    `accept_recreated`.
    """
    roots = await read_roots(lake, stream)
    is_known = not roots or any(root.created_at == created_at for root in roots.values())
    if not is_known and not accept_recreated:
        raise HubRecreated(_describe_recreated_hub(stream, next(iter(roots.values())).created_at, created_at))
    return dict(_find_chain(stream, partition, created_at, roots) for partition in partitions)


def _find_chain(
    stream: str, partition: int, created_at: str, roots: Mapping[ChainKey, Root]
) -> tuple[ChainKey, Root | None]:
    newest = 0
    for chain, root in roots.items():
        if chain.partition == partition:
            if root.created_at == created_at:
                return chain, root
            newest = max(newest, chain.generation)
    return ChainKey(stream, partition, newest + 1), None


async def read_roots(lake: Lake, stream: str) -> dict[ChainKey, Root]:
    """Read the roots of all chains of a stream, including the chains of earlier hubs."""
    found = {}
    async for chain in list_chains(lake, stream):
        if (root := await read_root(lake, chain)) is not None:
            found[chain] = root
    return dict(sorted(found.items()))


async def list_chains(lake: Lake, stream: str) -> AsyncIterator[ChainKey]:
    """Yield the chains of a stream that have a root, including the chains of earlier hubs."""
    async for file in lake.list(roots_folder(stream), recursive=False):
        chain = parse_root_name(stream, file.path.rpartition("/")[2])
        if chain is not None:
            yield chain


async def read_root(lake: Lake, chain: ChainKey) -> Root | None:
    """Read a chain's root; None if it does not exist. Raises NeedsAttention if it cannot be read."""
    data = await lake.read(chain.root)
    if data is None:
        return None
    try:
        root = msgspec.json.decode(data, type=Root)
        parse_hour_folder(root.folder)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise NeedsAttention(
            f"{chain.root} is not a chain's root ({error}): restore or move it away"
        ) from error
    if root.layout != FORMAT_VERSION:
        raise NeedsAttention(
            f"{chain.root} is of layout {root.layout}, this release knows {FORMAT_VERSION}: "
            "use the release that wrote it, or name another file system"
        )
    return root


def _describe_recreated_hub(stream: str, known: str, found: str) -> str:
    return (
        f"the hub of {stream} was created at {found}, but the lake was filled from one created at {known}: "
        f"to land it beside the old rows set FLEETPRICE_INGEST_ACCEPT_RECREATED={stream}, "
        "otherwise name another file system or the old hub"
    )
