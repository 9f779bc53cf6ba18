"""Retention that overtakes a stopped writer: what it would read next is gone when it wakes."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from azure.core.exceptions import AzureError

from services.cli.chaos.lake_files import newest_files
from services.cli.chaos.programs import STRAGGLERS_GROUP
from services.cli.chaos.service_logs import count
from services.cli.chaos.stack import TELEMETRY, UNREACHABLE, World

_LOOK_S = 0.3
# Its links have to be opened anew, at a hub that may be away just then.
_TELLS_WITHIN_S = 30.0


async def overtake(world: World, is_over: asyncio.Event) -> bool:
    """Hold the straggler until its next event is gone; whether it found itself overtaken, by its own log.

    Nobody takes its partitions over while it is stopped. Its links are cut first, or what the hub has already
    written to them would still reach it.
    """
    straggler = world.straggler
    told = _count_noticed(straggler.program.log)
    async with world.held(straggler) as is_held:
        cut = {"kind": "detach", "hub": TELEMETRY, "group": STRAGGLERS_GROUP, "role": "receiver"}
        if not is_held or (await world.admin("POST", "/faults", cut))["struck"] == 0:
            return False
        read: Mapping[int, int] | None = None
        while read is None or not await _are_gone_after(world, read):
            if is_over.is_set():
                return False
            if read is None:
                read = await _ends(world)
            await asyncio.sleep(_LOOK_S)
    return await _tells_more_than(told, straggler.program.log, is_over)


async def _ends(world: World) -> Mapping[int, int] | None:
    """None while the emulator is away: that is no reason to let go of the straggler."""
    with suppress(*UNREACHABLE):
        return await world.ends(TELEMETRY)
    return None


async def _are_gone_after(world: World, read: Mapping[int, int]) -> bool:
    """Trim; whether the event after the one in `read` is gone from a partition."""
    with suppress(*UNREACHABLE, AzureError):
        await _trim(world)
        begins = await world.begins(TELEMETRY)
        return any(begins[partition] > last + 1 for partition, last in read.items())
    return False


async def _trim(world: World) -> None:
    """Give up events that nobody but a stopped writer still asks for."""
    scored = await world.scored_through()
    settled = settled_through(world.data / "simulator")
    before = {
        str(partition): min(first, scored.get(partition, -1) + 1, settled.get(partition, -1) + 1)
        for partition, (first, _) in newest_files(world.data, TELEMETRY).items()
    }
    await world.admin("POST", f"/hubs/{TELEMETRY}/trim", {"before": before})


async def _tells_more_than(told: int, log: Path | None, is_over: asyncio.Event) -> bool:
    for _ in range(int(_TELLS_WITHIN_S / _LOOK_S)):
        if _count_noticed(log) > told:
            return True
        if is_over.is_set():
            return False
        await asyncio.sleep(_LOOK_S)
    return False


def _count_noticed(log: Path | None) -> int:
    """How often a writer came upon the gap, or before that upon the others' files."""
    return count(log, "partition_skipped") + count(log, "partition_overtaken")


def settled_through(record: Path) -> dict[int, int]:
    """By partition, up to where the fleet's senders no longer look after a lost answer.

    An intent notes the hub's position before its send: everything up to there has been answered.
    """
    settled = {}
    for path in record.glob("p*.ndjson"):
        *whole, _ = path.read_bytes().split(b"\n")  # the last one is torn, or nothing
        last = next((line for line in reversed(whole) if b'"position"' in line), None)
        if last is not None:
            settled[int(path.stem[1:])] = int(json.loads(last)["position"])
    return settled
