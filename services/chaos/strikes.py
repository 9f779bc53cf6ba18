"""How each kind of fault is brought about. A victim that is not running is let be, and nothing is counted."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from azure.core.exceptions import AzureError

from services.chaos.lake_files import newest_files
from services.chaos.schedule import Fault, Kind
from services.chaos.tally import Tally
from services.chaos.world import AWAY, TELEMETRY, World
from shared.processes.process import Process
from shared.processes.supervisor import Kept
from shared.run import EXIT_DONE

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
    Kind.STORAGE_FAILED: {**_STORAGE, "kind": "fail", "probability": 0.5, "times": 20, "seconds": 2.0},
    Kind.STORAGE_SLOWED: {**_STORAGE, "kind": "slow", "delay_ms": 400, "times": 12, "seconds": 2.0},
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
        self._by_kind: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
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

    async def strike(self, fault: Fault) -> None:
        """Bring it about, if there is anything to strike; returns once it is over."""
        with suppress(*AWAY):  # the emulator is away: nothing is struck, nothing counted
            await self._by_kind.get(fault.kind, self._arm)(fault)

    async def _kill(self, fault: Fault, among: Sequence[Kept]) -> None:
        if _victim(fault, among).send(signal.SIGKILL):
            self._tally.happened(fault.kind)

    async def _kill_emulator(self, fault: Fault) -> None:
        self._tally.see(await self._world.admin("GET", "/faults"))
        if self._world.emulator.send(signal.SIGKILL):
            self._tally.emulator_ended()
            self._tally.happened(fault.kind)

    async def _hold(self, fault: Fault, among: Sequence[Kept]) -> None:
        victim = _victim(fault, among)
        if not victim.send(signal.SIGSTOP):
            return
        try:
            await asyncio.sleep(fault.hold_s)
        finally:
            if victim.send(signal.SIGCONT):
                self._tally.happened(fault.kind)

    async def _overtake(self, fault: Fault) -> None:
        """Hold a writer, have retention take what the others land meanwhile, and let it go on."""
        victim = _victim(fault, self._world.writers)
        if not victim.send(signal.SIGSTOP):
            return
        try:
            await asyncio.sleep(fault.hold_s)
            with suppress(*AWAY, AzureError):
                if await self._trim():
                    self._tally.happened(fault.kind)
        finally:
            victim.send(signal.SIGCONT)

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

    async def _jump(self, fault: Fault) -> None:
        offset_s = int((2 * fault.draw - 1) * _MOST_JUMP_S)
        await self._set_clock(fault, offset_s, int((2 * fault.draw - 1) * _MOST_STORAGE_JUMP_S))

    async def _change_hour(self, fault: Fault) -> None:
        self._furthest_s += _HOUR_S
        await self._set_clock(fault, self._furthest_s, 0)

    async def _set_clock(self, fault: Fault, event_hubs_s: int, storage_s: int) -> None:
        wanted = {"event_hubs_offset_s": event_hubs_s, "storage_offset_s": storage_s}
        await self._world.admin("PUT", "/clock", wanted)
        self._tally.happened(fault.kind)

    async def _rebalance(self, fault: Fault) -> None:
        """One more writer joins, takes its share, and leaves as it should."""
        world = self._world
        world.joiners += 1
        name = f"ingest-joiner-{world.joiners}"
        joined = world.supervisor.start(world.programs.writer(name, shares=True))
        await asyncio.sleep(fault.hold_s)
        await joined.stop(_LEAVE_S)
        self._tally.happened(fault.kind)

    async def _compact(self, fault: Fault) -> None:
        world = self._world
        world.compactions += 1
        program = world.programs.compaction(f"compaction-{world.compactions}")
        process = await Process.start(program)
        try:
            if await process.ended() == EXIT_DONE:
                self._tally.happened(fault.kind)
        finally:
            process.kill()

    async def _arm(self, fault: Fault) -> None:
        asked = _ARMED[fault.kind]
        armed = await self._world.admin("POST", "/faults", asked)
        if asked["kind"] in {"detach", "steal"}:
            if armed["struck"]:
                self._tally.happened(fault.kind)
        else:
            self._tally.armed(armed["id"], fault.kind)


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
