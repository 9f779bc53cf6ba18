"""How far a lane is in the manifest: after the last of its records that the manifest's hub has.

Where the hub's retention took them all, a mark in the lake tells, written now and then; without that the lane
is told from its root. Too low a position costs records told twice, never one not told.
"""

from dataclasses import dataclass

import msgspec
from azure.eventhub.aio import EventHubConsumerClient
from msgspec import Struct

from services.ingest.manifest.record import path_in
from shared.lake.client import Lake
from shared.lake.slots.chain import read_footer
from shared.lake.slots.footer import Head
from shared.lake.slots.root import read_roots
from shared.lake.slots.slot import ChainKey, parse_slot_name
from shared.streams.event_hubs.clients import body_of
from shared.streams.event_hubs.partition_events import Gap, partition_events

# Looked at first; where no record in it is of the lane, ten times as much, up to all that there is.
_TAIL_EVENTS = 100


class Mark(Struct, frozen=True):
    """The lane's file told last, in the manifest's hub created then."""

    hub: str
    created_at: str
    path: str


@dataclass(frozen=True, slots=True)
class Manifested:
    """The manifest's hub, and which of its partitions a lane's records are in, always the same."""

    hub: str
    created_at: str
    partitions: int

    def partition_of(self, lane: ChainKey) -> str:
        return str(lane.partition % self.partitions)


async def find_position(
    lake: Lake, client: EventHubConsumerClient, manifested: Manifested, lane: ChainKey
) -> Head | None:
    """Where the lane's next record is to be looked for; None where its chain has no root yet."""
    path = await _last_told(client, manifested.partition_of(lane), lane) or await _marked(
        lake, manifested, lane
    )
    footer = await read_footer(lake, path) if path else None
    if footer is not None:
        return footer.head
    root = (await read_roots(lake, lane.stream)).get(lane)
    return root.head if root is not None else None


async def write_mark(lake: Lake, manifested: Manifested, lane: ChainKey, path: str) -> None:
    """Note that the lane was told up to this file."""
    mark = Mark(manifested.hub, manifested.created_at, path)
    await lake.write(_mark_path(lane), msgspec.json.encode(mark))


async def _last_told(client: EventHubConsumerClient, partition_id: str, lane: ChainKey) -> str | None:
    properties = await client.get_partition_properties(partition_id)
    if properties["is_empty"]:
        return None
    last = int(properties["last_enqueued_sequence_number"])
    oldest = max(0, int(properties["beginning_sequence_number"]))
    window = _TAIL_EVENTS
    while True:
        start = max(oldest, last + 1 - window)
        path = await _last_within(client, partition_id, lane, start, last)
        if path is not None or start == oldest:
            return path
        window *= 10


async def _last_within(
    client: EventHubConsumerClient, partition_id: str, lane: ChainKey, start: int, last: int
) -> str | None:
    found = None
    async for events in partition_events(client, partition_id, after=start - 1, until=last):
        for event in () if isinstance(events, Gap) else events:
            path = path_in(body_of(event))
            if path is not None and _is_of(lane, path):
                found = path
    return found


async def _marked(lake: Lake, manifested: Manifested, lane: ChainKey) -> str | None:
    data = await lake.read(_mark_path(lane))
    if not data:
        return None
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except msgspec.MsgspecError:
        return None  # a crash cut it short; it is a hint
    is_same_hub = (mark.hub, mark.created_at) == (manifested.hub, manifested.created_at)
    return mark.path if is_same_hub and _is_of(lane, mark.path) else None


def _is_of(lane: ChainKey, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    slot = parse_slot_name(lane.stream, name)
    return slot is not None and slot[0] == lane and folder.startswith(f"raw/{lane.stream}/")


def _mark_path(lane: ChainKey) -> str:
    return f"manifest/{lane.stream}/{lane.label}.json"
