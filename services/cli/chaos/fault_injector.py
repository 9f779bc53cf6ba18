"""How each kind of fault is brought about; what strikes nothing is not counted, and tried again."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from azure.core.exceptions import AzureError

from services.cli.chaos.emulator_faults import strikes_at_once, wanted_of
from services.cli.chaos.fault_counts import FaultCounts
from services.cli.chaos.retention import overtake
from services.cli.chaos.schedule import Fault, Kind
from services.cli.chaos.service_logs import count, read_lines
from services.cli.chaos.stack import TELEMETRY, UNREACHABLE, World
from shared.service.processes.supervisor import SupervisedProcess
from shared.service.run import EXIT_DONE, EXIT_NEEDS_ATTENTION

_AGAIN_S = 0.5
_LOOK_S = 0.3
_COMES_WITHIN_S = 3.0
_JOINS_WITHIN_S = 25.0
_LEAVES_WITHIN_S = 12.0
_HOUR_S = 3_600
_MAX_JUMP_S = 900
_MAX_STORAGE_JUMP_S = 4


class CompactionRefused(AssertionError):
    """A compaction wants a person's attention, in a world that this program set up."""


class FaultInjector:
    """Brings faults about in a running world."""

    def __init__(self, world: World, tally: FaultCounts, is_over: asyncio.Event) -> None:
        """`is_over`: the load is; nothing is begun after that."""
        self._world = world
        self._is_over = is_over
        self._tally = tally
        self._furthest_s = 0
        self._by_kind: dict[Kind, Callable[[Fault], Awaitable[bool]]] = {
            Kind.INGEST_KILLED: lambda fault: self._kill(fault, world.writers),
            Kind.SCORER_KILLED: lambda fault: self._kill(fault, world.scorers),
            Kind.READERS_KILLED: self._kill_readers,
            Kind.EMULATOR_KILLED: self._kill_emulator,
            Kind.INGEST_STOPPED: lambda fault: self._hold(fault, world.writers),
            Kind.SCORER_STOPPED: lambda fault: self._hold(fault, world.scorers),
            Kind.RETENTION_OVERTOOK: lambda _fault: overtake(world, is_over),
            Kind.CLOCK_JUMPED: self._jump,
            Kind.HOUR_CHANGED: self._change_hour,
            Kind.REBALANCED: self._rebalance,
            Kind.COMPACTED: self._compact,
        }

    async def inject(self, fault: Fault) -> None:
        """Bring it about, again and again until it has struck something."""
        by_itself = self._by_kind.get(fault.kind)
        while not self._is_over.is_set():
            with suppress(*UNREACHABLE, AzureError):  # the emulator is away
                if by_itself is None:
                    if await self._has_armed_struck(fault):
                        return
                elif await by_itself(fault):
                    self._tally.happened(fault.kind)
                    return
            await asyncio.sleep(_AGAIN_S)

    async def _kill(self, fault: Fault, among: Sequence[SupervisedProcess]) -> bool:
        return _victim(fault, among).send(signal.SIGKILL)

    async def _kill_readers(self, _fault: Fault) -> bool:
        """All ingest and scorers in the same instant; a straggler that is held reads nothing anyway."""
        world = self._world
        readers = [*world.writers, *world.scorers]
        if not world.is_held(world.straggler):
            readers.append(world.straggler)
        struck = [one.send(signal.SIGKILL) for one in readers]
        return any(struck)

    async def _kill_emulator(self, _fault: Fault) -> bool:
        self._tally.see(await self._world.admin("GET", "/faults"))
        is_struck = self._world.emulator.send(signal.SIGKILL)
        if is_struck:
            self._tally.emulator_ended()
        return is_struck

    async def _hold(self, fault: Fault, among: Sequence[SupervisedProcess]) -> bool:
        async with self._world.held(_victim(fault, among)) as is_held:
            if is_held:
                await asyncio.sleep(fault.hold_s)
        return is_held

    async def _jump(self, fault: Fault) -> bool:
        drawn = 2 * fault.draw - 1
        await self._set_clock(int(drawn * _MAX_JUMP_S), int(drawn * _MAX_STORAGE_JUMP_S))
        return True

    async def _change_hour(self, _fault: Fault) -> bool:
        """Whether events came in a later hour before the clock was set back, or the hub killed."""
        world = self._world
        before = await world.newest_hour(TELEMETRY)
        self._furthest_s += _HOUR_S
        await self._set_clock(self._furthest_s, 0)
        for _ in range(int(_COMES_WITHIN_S / _LOOK_S)):
            await asyncio.sleep(_LOOK_S)
            if await world.newest_hour(TELEMETRY) > before > "":
                return True
        return False

    async def _set_clock(self, event_hubs_s: int, storage_s: int) -> None:
        wanted = {"event_hubs_offset_s": event_hubs_s, "storage_offset_s": storage_s}
        await self._world.admin("PUT", "/clock", wanted)

    async def _rebalance(self, _fault: Fault) -> bool:
        """One more writer joins, takes a partition from another, and leaves as it should."""
        world = self._world
        world.joiners += 1
        program = world.programs.sharing_writer(f"ingest-joiner-{world.joiners}")
        joined = world.supervisor.start(program)
        try:
            async with asyncio.timeout(_JOINS_WITHIN_S):
                while not count(program.log, "partition_opened"):  # noqa: ASYNC110 - another process's log
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            return False
        finally:
            await joined.stop(_LEAVES_WITHIN_S)
        return True

    async def _compact(self, fault: Fault) -> bool:
        """A compaction and its sweeping while a writer stands still; whether it found anything to do."""
        world = self._world
        world.compactions += 1
        program = world.programs.compaction(f"compaction-{world.compactions}")
        async with world.held(_victim(fault, world.writers)) as is_held:
            process = await world.supervisor.start_process(program)
            try:
                code = await process.wait()
            finally:
                process.kill()
        if code == EXIT_NEEDS_ATTENTION:
            raise CompactionRefused(f"see {program.log}")
        return is_held and code == EXIT_DONE and any(line.has_compacted for line in read_lines(program.log))

    async def _has_armed_struck(self, fault: Fault) -> bool:
        """The emulator counts what it strikes; its end forgets what lay in wait."""
        armed = await self._world.admin("POST", "/faults", wanted_of(fault))
        if strikes_at_once(fault.kind):
            has_struck = bool(armed["struck"])
            self._tally.happened(fault.kind, times=int(has_struck))
            return has_struck
        self._tally.armed(armed["id"], fault.kind)
        while (struck := await self._struck(armed["id"])) == 0:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(_LOOK_S)
        return struck is not None

    async def _struck(self, fault_id: str) -> int | None:
        """How often; None where the emulator no longer knows of it."""
        listed = await self._world.admin("GET", "/faults")
        self._tally.see(listed)
        return next((one["struck"] for one in listed if one["id"] == fault_id), None)


def _victim(fault: Fault, among: Sequence[SupervisedProcess]) -> SupervisedProcess:
    return among[int(fault.draw * len(among))]
