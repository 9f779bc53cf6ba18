"""The position after which a chain is published: its last record in the manifest's hub.

If the hub's retention removed all of the chain's records, a mark in the lake, written at most once a minute,
replaces them. Without a mark the chain is published from its root. Too low a position costs duplicate
records, never a missing one.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Struct

from services.ingest.manifest.record import parse_path
from shared.lake.client import Lake
from shared.lake.slots.chain import read_footer
from shared.lake.slots.footer import Head
from shared.lake.slots.root import read_roots
from shared.lake.slots.slot import ChainKey, parse_slot_name
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.messages import read_body
from shared.streams.event_hubs.partition_events import Gap, partition_events

# The number of events read first; if none is of the chain, ten times as many are read, and so on.
_TAIL_EVENTS = 100


class Mark(Struct, frozen=True):
    """The last published file of a chain, and the hub in which it was published.

    `created_at` identifies the hub.
    """

    hub: str
    created_at: str
    path: str


@dataclass(frozen=True, slots=True)
class ManifestHub:
    """The manifest's hub; all records of a chain are in one of its partitions."""

    hub: str
    created_at: str
    partitions: int

    def partition_for(self, chain: ChainKey) -> int:
        """Return the hub partition that holds the chain's records."""
        return chain.partition % self.partitions


async def find_position(lake: Lake, hub: Hub, manifest_hub: ManifestHub, chain: ChainKey) -> Head | None:
    """Return the chain's head after the last file published; None if the chain has no root yet."""
    path = await _read_last_path(hub, manifest_hub.partition_for(chain), chain) or await _read_mark(
        lake, manifest_hub, chain
    )
    footer = await read_footer(lake, path) if path else None
    if footer is not None:
        return footer.head
    root = (await read_roots(lake, chain.stream)).get(chain)
    return root.head if root is not None else None


async def write_mark(lake: Lake, manifest_hub: ManifestHub, chain: ChainKey, path: str) -> None:
    """Write the mark that the chain was published up to this file."""
    mark = Mark(manifest_hub.hub, manifest_hub.created_at, path)
    await lake.write(_mark_path(chain), msgspec.json.encode(mark))


async def _read_last_path(hub: Hub, partition: int, chain: ChainKey) -> str | None:
    bounds = await hub.bounds(partition)
    oldest, last = bounds.oldest, bounds.last
    if oldest > last:
        return None
    window = _TAIL_EVENTS
    while True:
        start = max(oldest, last + 1 - window)
        path = await _find_last_path(hub, partition, chain, start, last)
        if path is not None or start == oldest:
            return path
        window *= 10


async def _find_last_path(hub: Hub, partition: int, chain: ChainKey, start: int, last: int) -> str | None:
    found = None
    async for events in partition_events(hub.client, str(partition), after=start - 1, until=last):
        for event in () if isinstance(events, Gap) else events:
            path = parse_path(read_body(event))
            if path is not None and _belongs_to(chain, path):
                found = path
    return found


async def _read_mark(lake: Lake, manifest_hub: ManifestHub, chain: ChainKey) -> str | None:
    data = await lake.read(_mark_path(chain))
    if not data:
        return None
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except msgspec.MsgspecError:
        return None  # a crash truncated it; it is only a hint
    is_same_hub = (mark.hub, mark.created_at) == (manifest_hub.hub, manifest_hub.created_at)
    return mark.path if is_same_hub and _belongs_to(chain, mark.path) else None


def _belongs_to(chain: ChainKey, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    slot = parse_slot_name(chain.stream, name)
    return slot is not None and slot[0] == chain and folder.startswith(f"raw/{chain.stream}/")


def _mark_path(chain: ChainKey) -> str:
    return f"manifest/{chain.stream}/{chain.label}.json"
