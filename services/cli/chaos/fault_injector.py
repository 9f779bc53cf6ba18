"""Inject each kind of fault. An attempt that strikes nothing is not counted, and is repeated."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from azure.core.exceptions import AzureError

from services.cli.chaos.emulator_faults import fault_request, strikes_at_once
from services.cli.chaos.fault_counts import FaultCounts
from services.cli.chaos.retention import overtake
from services.cli.chaos.schedule import Fault, Kind
from services.cli.chaos.service_logs import count, read_lines
from services.cli.chaos.stack import TELEMETRY, UNREACHABLE, Stack
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
    """A compaction asked for a person to act, although this program set up the stack."""


class FaultInjector:
    """An injector of faults into a running stack."""

    def __init__(self, stack: Stack, fault_counts: FaultCounts, is_over: asyncio.Event) -> None:
        """Create an injector that injects nothing more once `is_over` is set, at the end of the load."""
        self._stack = stack
        self._is_over = is_over
        self._fault_counts = fault_counts
        self._hours_s = 0
        self._by_kind: dict[Kind, Callable[[Fault], Awaitable[bool]]] = {
            Kind.INGEST_KILLED: lambda fault: self._kill(fault, stack.writers),
            Kind.SCORER_KILLED: lambda fault: self._kill(fault, stack.scorers),
            Kind.READERS_KILLED: self._kill_readers,
            Kind.EMULATOR_KILLED: self._kill_emulator,
            Kind.INGEST_STOPPED: lambda fault: self._hold(fault, stack.writers),
            Kind.SCORER_STOPPED: lambda fault: self._hold(fault, stack.scorers),
            Kind.RETENTION_OVERTOOK: lambda _fault: overtake(stack, is_over),
            Kind.CLOCK_JUMPED: self._jump,
            Kind.HOUR_CHANGED: self._change_hour,
            Kind.REBALANCED: self._rebalance,
            Kind.COMPACTED: self._compact,
        }

    async def inject(self, fault: Fault) -> None:
        """Inject the fault, and repeat the attempt until it strikes something or the load is over."""
        inject_here = self._by_kind.get(fault.kind)
        while not self._is_over.is_set():
            with suppress(*UNREACHABLE, AzureError):  # the emulator does not answer
                if inject_here is None:
                    if await self._arm(fault):
                        return
                elif await inject_here(fault):
                    self._fault_counts.add(fault.kind)
                    return
            await asyncio.sleep(_AGAIN_S)

    async def _kill(self, fault: Fault, among: Sequence[SupervisedProcess]) -> bool:
        return _pick(fault, among).send(signal.SIGKILL)

    async def _kill_readers(self, _fault: Fault) -> bool:
        """Kill all ingest processes and scorers at the same moment, except the straggler while it is held.

        Return whether any process was killed.
        """
        stack = self._stack
        readers = [*stack.writers, *stack.scorers]
        if not stack.is_held(stack.straggler):
            readers.append(stack.straggler)
        struck = [one.send(signal.SIGKILL) for one in readers]
        return any(struck)

    async def _kill_emulator(self, _fault: Fault) -> bool:
        self._fault_counts.note_struck(await self._stack.admin("GET", "/faults"))
        is_struck = self._stack.emulator.send(signal.SIGKILL)
        if is_struck:
            self._fault_counts.note_emulator_end()
        return is_struck

    async def _hold(self, fault: Fault, among: Sequence[SupervisedProcess]) -> bool:
        async with self._stack.hold(_pick(fault, among)) as is_held:
            if is_held:
                await asyncio.sleep(fault.hold_s)
        return is_held

    async def _jump(self, fault: Fault) -> bool:
        drawn = 2 * fault.draw - 1
        await self._set_clock(int(drawn * _MAX_JUMP_S), int(drawn * _MAX_STORAGE_JUMP_S))
        return True

    async def _change_hour(self, _fault: Fault) -> bool:
        """Set the hub's clock one more hour ahead.

        Return whether events of a later hour arrived in time. None do if another fault sets the clock back or
        kills the hub first.
        """
        stack = self._stack
        before = await stack.newest_hour(TELEMETRY)
        self._hours_s += _HOUR_S
        await self._set_clock(self._hours_s, 0)
        for _ in range(int(_COMES_WITHIN_S / _LOOK_S)):
            await asyncio.sleep(_LOOK_S)
            if await stack.newest_hour(TELEMETRY) > before > "":
                return True
        return False

    async def _set_clock(self, event_hubs_s: int, storage_s: int) -> None:
        wanted = {"event_hubs_offset_s": event_hubs_s, "storage_offset_s": storage_s}
        await self._stack.admin("PUT", "/clock", wanted)

    async def _rebalance(self, _fault: Fault) -> bool:
        """Start one more writer, let it take a partition from another writer, and stop it with a drain.

        Return whether the new writer opened a partition in time.
        """
        stack = self._stack
        stack.joiners += 1
        program = stack.programs.sharing_writer(f"ingest-joiner-{stack.joiners}")
        joined = stack.supervisor.start(program)
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
        """Compact and vacuum while a writer is stopped. Return whether raw files were merged meanwhile.

        Raises CompactionRefused if the compaction asks for a person to act.
        """
        stack = self._stack
        stack.compactions += 1
        program = stack.programs.compaction(f"compaction-{stack.compactions}")
        async with stack.hold(_pick(fault, stack.writers)) as is_held:
            process = await stack.supervisor.start_process(program)
            try:
                code = await process.wait()
            finally:
                process.kill()
        if code == EXIT_NEEDS_ATTENTION:
            raise CompactionRefused(f"see {program.log}")
        return is_held and code == EXIT_DONE and any(line.has_compacted for line in read_lines(program.log))

    async def _arm(self, fault: Fault) -> bool:
        """Inject a fault through the emulator. Return whether the fault struck.

        An armed fault can no longer strike once the emulator has ended: then the result is False.
        """
        armed = await self._stack.admin("POST", "/faults", fault_request(fault))
        if strikes_at_once(fault.kind):
            has_struck = bool(armed["struck"])
            self._fault_counts.add(fault.kind, times=int(has_struck))
            return has_struck
        self._fault_counts.note_armed(armed["id"], fault.kind)
        while (struck := await self._count_struck(armed["id"])) == 0:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(_LOOK_S)
        return struck is not None

    async def _count_struck(self, fault_id: str) -> int | None:
        """Return how often a fault has struck, or None if the emulator no longer knows the fault."""
        listed = await self._stack.admin("GET", "/faults")
        self._fault_counts.note_struck(listed)
        return next((one["struck"] for one in listed if one["id"] == fault_id), None)


def _pick(fault: Fault, among: Sequence[SupervisedProcess]) -> SupervisedProcess:
    return among[int(fault.draw * len(among))]
