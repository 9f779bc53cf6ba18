"""Retention that overtakes a stopped writer: its next event is gone when it continues."""

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

    No other process takes its partitions over meanwhile. Its links are cut first, or events that the hub has
    already written to them would still reach it.
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
    """Return None while the emulator does not answer: the straggler stays stopped."""
    with suppress(*UNREACHABLE):
        return await stack.ends(TELEMETRY)
    return None


async def _are_gone_after(stack: Stack, read: Mapping[int, int]) -> bool:
    """Trim the hub. Return whether the event after the one in `read` is gone from a partition."""
    with suppress(*UNREACHABLE, AzureError):
        await _trim(stack)
        begins = await stack.begins(TELEMETRY)
        return any(begins[partition] > last + 1 for partition, last in read.items())
    return False


async def _trim(stack: Stack) -> None:
    """Trim events that only a stopped writer still needs."""
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
    """Return how often a writer met the gap, or before that the files of others."""
    return count(log, "partition_skipped") + count(log, "partition_overtaken")


def settled_through(record: Path) -> dict[int, int]:
    """Return, by partition, the position up to which the fleet's sends are resolved.

    An intent holds the hub's position before its send: everything up to there has been answered.
    """
    settled = {}
    for path in record.glob("p*.ndjson"):
        *whole, _ = path.read_bytes().split(b"\n")  # the last one is torn or empty
        last = next((line for line in reversed(whole) if b'"position"' in line), None)
        if last is not None:
            settled[int(path.stem[1:])] = int(json.loads(last)["position"])
    return settled
