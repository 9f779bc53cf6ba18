"""Let retention overtake a stopped writer: when the writer continues, its next event is gone."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from azure.core.exceptions import AzureError

from services.cli.chaos.lake_files import newest_files
from services.cli.chaos.programs import STRAGGLERS_GROUP
from services.cli.chaos.service_logs import count
from services.cli.chaos.stack import TELEMETRY, UNREACHABLE, Stack

_LOOK_S = 0.3
# It must open its links again, at a hub that may not answer just then.
_NOTICES_WITHIN_S = 30.0


async def overtake(stack: Stack, is_over: asyncio.Event) -> bool:
    """Stop the straggler until its next event is gone. Return whether its log shows that it was overtaken.

    No other process takes over the straggler's partitions meanwhile. The straggler's links are cut first:
    otherwise it would still receive the events that the hub had already written to them.
    """
    straggler = stack.straggler
    before = _count_noticed(straggler.program.log)
    async with stack.hold(straggler) as is_held:
        cut = {"kind": "detach", "hub": TELEMETRY, "group": STRAGGLERS_GROUP, "role": "receiver"}
        if not is_held or (await stack.admin("POST", "/faults", cut))["struck"] == 0:
            return False
        read: Mapping[int, int] | None = None
        while read is None or not await _are_gone_after(stack, read):
            if is_over.is_set():
                return False
            if read is None:
                read = await _ends(stack)
            await asyncio.sleep(_LOOK_S)
    return await _has_noticed(before, straggler.program.log, is_over)


async def _ends(stack: Stack) -> Mapping[int, int] | None:
    """Return the last sequence number of each partition, or None if the emulator does not answer."""
    with suppress(*UNREACHABLE):
        return await stack.ends(TELEMETRY)
    return None


async def _are_gone_after(stack: Stack, read: Mapping[int, int]) -> bool:
    """Trim the hub. Return whether in any partition the event after the one in `read` is gone.

    Return False if the emulator does not answer.
    """
    with suppress(*UNREACHABLE, AzureError):
        await _trim(stack)
        begins = await stack.begins(TELEMETRY)
        return any(begins[partition] > last + 1 for partition, last in read.items())
    return False


async def _trim(stack: Stack) -> None:
    """Remove the events that have landed, are priced, and precede every unresolved send of the fleet.

    After that, only a stopped writer can still need the removed events.
    """
    scored = await stack.scored_through()
    settled = settled_through(stack.data / "simulator")
    before = {
        str(partition): min(first, scored.get(partition, -1) + 1, settled.get(partition, -1) + 1)
        for partition, (first, _) in newest_files(stack.data, TELEMETRY).items()
    }
    await stack.admin("POST", f"/hubs/{TELEMETRY}/trim", {"before": before})


async def _has_noticed(before: int, log: Path | None, is_over: asyncio.Event) -> bool:
    for _ in range(int(_NOTICES_WITHIN_S / _LOOK_S)):
        if _count_noticed(log) > before:
            return True
        if is_over.is_set():
            return False
        await asyncio.sleep(_LOOK_S)
    return False


def _count_noticed(log: Path | None) -> int:
    """Return how often a writer's log shows a skipped gap, or that other writers' files overtook it."""
    return count(log, "partition_skipped") + count(log, "partition_overtaken")


def settled_through(record: Path) -> dict[int, int]:
    """Return, by partition, the hub position up to which the fleet's sends are resolved.

    Before each send the fleet records an intent with the hub's position: every earlier send is answered.
    """
    settled = {}
    for path in record.glob("p*.ndjson"):
        *whole, _ = path.read_bytes().split(b"\n")  # the last one is torn or empty
        last = next((line for line in reversed(whole) if b'"position"' in line), None)
        if last is not None:
            settled[int(path.stem[1:])] = int(json.loads(last)["position"])
    return settled
