"""How each kind of fault is brought about; what strikes nothing is not counted, and tried again."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from azure.core.exceptions import AzureError

from services.chaos.lake_files import newest_files
from services.chaos.schedule import Fault, Kind
from services.chaos.tally import Tally
from services.chaos.world import AWAY, TELEMETRY, World
from shared.processes.process import Process
from shared.processes.supervisor import Kept
from shared.run import EXIT_DONE

_AGAIN_S = 0.4
_LEAVE_S = 12.0
_HOUR_S = 3_600
_MOST_JUMP_S = 900
_MOST_STORAGE_JUMP_S = 4
_STORAGE = {"service": "storage", "path_prefix": "lake/"}

# What the emulator is asked for; `now` faults strike links at once, the others lie in wait.
_ARMED: dict[Kind, dict[str, object]] = {
    Kind.RENAME_ANSWER_DROPPED: {
        "service": "storage",
        "kind": "drop_answer",
        "operation": "rename",
        "path_prefix": "lake/raw/",
        "times": 2,
    },
    Kind.STORAGE_FAILED: {**_STORAGE, "kind": "fail", "probability": 0.5, "times": 20},
    Kind.STORAGE_SLOWED: {**_STORAGE, "kind": "slow", "delay_ms": 400, "times": 12},
    Kind.SEND_REJECTED: {"kind": "reject", "times": 3},
    Kind.SEND_ANSWER_LOST: {"kind": "lose_answer", "times": 2},
    Kind.LINKS_DETACHED: {"kind": "detach"},
    Kind.LINKS_STOLEN: {"kind": "steal"},
}


class Strikes:
    """Brings faults about in a running world."""

    def __init__(self, world: World, tally: Tally) -> None:
        self._world = world
        self._tally = tally
        self._furthest_s = 0
        self._by_kind: dict[Kind, Callable[[Fault], Awaitable[bool]]] = {
            Kind.INGEST_KILLED: lambda fault: self._kill(fault, world.writers),
            Kind.SCORER_KILLED: lambda fault: self._kill(fault, [world.scorer]),
            Kind.EMULATOR_KILLED: self._kill_emulator,
            Kind.INGEST_STOPPED: lambda fault: self._hold(fault, world.writers),
            Kind.SCORER_STOPPED: lambda fault: self._hold(fault, [world.scorer]),
            Kind.RETENTION_OVERTOOK: self._overtake,
            Kind.CLOCK_JUMPED: self._jump,
            Kind.HOUR_CHANGED: self._change_hour,
            Kind.REBALANCED: self._rebalance,
            Kind.COMPACTED: self._compact,
        }

    async def strike(self, fault: Fault, is_over: asyncio.Event) -> None:
        """Bring it about, again and again until it has struck something or the load `is_over`."""
        while not is_over.is_set():
            with suppress(*AWAY, AzureError):  # the emulator is away
                if await self._by_kind.get(fault.kind, self._arm)(fault):
                    return
            await asyncio.sleep(_AGAIN_S)

    async def _kill(self, fault: Fault, among: Sequence[Kept]) -> bool:
        return self._noted(fault, _victim(fault, among).send(signal.SIGKILL))

    async def _kill_emulator(self, fault: Fault) -> bool:
        self._tally.see(await self._world.admin("GET", "/faults"))
        is_struck = self._world.emulator.send(signal.SIGKILL)
        if is_struck:
            self._tally.emulator_ended()
        return self._noted(fault, is_struck)

    async def _hold(self, fault: Fault, among: Sequence[Kept]) -> bool:
        async with _held(_victim(fault, among)) as is_held:
            if is_held:
                await asyncio.sleep(fault.hold_s)
        return self._noted(fault, is_held)

    async def _overtake(self, fault: Fault) -> bool:
        """Hold a writer, have retention take what the others land meanwhile, and let it go on."""
        async with _held(_victim(fault, self._world.writers)) as is_held:
            if not is_held:
                return False
            await asyncio.sleep(fault.hold_s)
            return self._noted(fault, await self._trim() > 0)

    async def _trim(self) -> int:
        """Give up events that nobody but a stopped writer still asks for; how many events went."""
        scored = await self._world.scored_through()
        settled = settled_through(self._world.data / "simulator")
        before = {
            str(partition): min(first, scored.get(partition, -1) + 1, settled.get(partition, -1) + 1)
            for partition, (first, _) in newest_files(self._world.data, TELEMETRY).items()
        }
        answer = await self._world.admin("POST", f"/hubs/{TELEMETRY}/trim", {"before": before})
        return int(answer["events"])

    async def _jump(self, fault: Fault) -> bool:
        drawn = 2 * fault.draw - 1
        return await self._set_clock(fault, int(drawn * _MOST_JUMP_S), int(drawn * _MOST_STORAGE_JUMP_S))

    async def _change_hour(self, fault: Fault) -> bool:
        self._furthest_s += _HOUR_S
        return await self._set_clock(fault, self._furthest_s, 0)

    async def _set_clock(self, fault: Fault, event_hubs_s: int, storage_s: int) -> bool:
        wanted = {"event_hubs_offset_s": event_hubs_s, "storage_offset_s": storage_s}
        await self._world.admin("PUT", "/clock", wanted)
        return self._noted(fault, True)

    async def _rebalance(self, fault: Fault) -> bool:
        """One more writer joins, takes its share, and leaves as it should."""
        world = self._world
        world.joiners += 1
        name = f"ingest-joiner-{world.joiners}"
        joined = world.supervisor.start(world.programs.writer(name, shares=True))
        await asyncio.sleep(fault.hold_s)
        await joined.stop(_LEAVE_S)
        return self._noted(fault, True)

    async def _compact(self, fault: Fault) -> bool:
        world = self._world
        world.compactions += 1
        process = await Process.start(world.programs.compaction(f"compaction-{world.compactions}"))
        try:
            return self._noted(fault, await process.ended() == EXIT_DONE)
        finally:
            process.kill()

    async def _arm(self, fault: Fault) -> bool:
        """The emulator counts what it strikes; its end forgets what lay in wait."""
        armed = await self._world.admin("POST", "/faults", _ARMED[fault.kind])
        if armed["kind"] in {"detach", "steal"}:
            return self._noted(fault, armed["struck"] > 0)
        self._tally.armed(armed["id"], fault.kind)
        while (struck := await self._struck(armed["id"])) == 0:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(_AGAIN_S)
        return struck is not None

    async def _struck(self, fault_id: str) -> int | None:
        """How often; None where the emulator no longer knows of it."""
        listed = await self._world.admin("GET", "/faults")
        self._tally.see(listed)
        return next((one["struck"] for one in listed if one["id"] == fault_id), None)

    def _noted(self, fault: Fault, has_happened: bool) -> bool:
        if has_happened:
            self._tally.happened(fault.kind)
        return has_happened


@asynccontextmanager
async def _held(victim: Kept) -> AsyncIterator[bool]:
    """Stopped, for the block; false where it was not running, or is no more."""
    is_held = victim.send(signal.SIGSTOP)
    try:
        yield is_held
    finally:
        victim.send(signal.SIGCONT)


def _victim(fault: Fault, among: Sequence[Kept]) -> Kept:
    return among[int(fault.draw * len(among))]


def settled_through(record: Path) -> dict[int, int]:
    """By partition, up to where the fleet's senders no longer look after a lost answer.

    An intent notes the hub's position before its send: everything up to there has been answered.
    """
    settled: Counter[int] = Counter()
    for path in record.glob("p*.ndjson"):
        for line in path.read_bytes().splitlines()[:-1]:
            fact = json.loads(line)
            if "position" in fact:
                settled[int(path.stem[1:])] = int(fact["position"])
    return dict(settled)
