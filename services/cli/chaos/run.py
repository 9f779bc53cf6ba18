"""One chaos run from its start to its verdict."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from services.cli.chaos.drain import drain
from services.cli.chaos.event_log import Report
from services.cli.chaos.fault_counts import NEEDED, FaultCounts
from services.cli.chaos.fault_injector import FaultInjector
from services.cli.chaos.schedule import Fault, Kind, plan_faults
from services.cli.chaos.settings import ChaosSettings
from services.cli.chaos.stack import UNREACHABLE, Stack
from shared.service.errors import FleetpriceError
from shared.service.logs import log
from shared.service.processes.process import Program, last_lines
from shared.service.processes.supervisor import SupervisedProcess
from shared.service.tasks import first_completed

_LOOK_S = 0.5
_OVERRUN_S = 120.0
_VERDICTS_TRIED = 3
# A loaded machine takes longer until every kind has struck.
_EXTRA_S = 8.0


class Unverified(FleetpriceError):
    """The process of `verify` ended without a verdict."""


class Verdict(msgspec.Struct, frozen=True):
    """The verdict on a run, printed as its last line. The counts are in readings.

    `missing`: readings that are lost. `drained`: everything landed and was priced.
    `waiting`, `predictions_waiting`: if the run did not drain, readings in the hub after the last event that
    landed or was priced; they are late, not lost. `stuck` describes the readers that were behind.
    `agrees`: `verify` found nothing wrong.
    `complete`: every kind of fault has happened; a run that has not seen all kinds proves less.
    """

    seed: int
    seconds: float
    sent: int
    landed: int
    missing: int
    doubled: int
    out_of_order: int
    dead_lettered: int
    predicted: int
    predictions_missing: int
    predictions_doubled: int
    predictions_doubled_raw: int
    waiting: int
    predictions_waiting: int
    events: int
    files: int
    drained: bool
    stuck: tuple[str, ...]
    agrees: bool
    complete: bool
    faults: dict[str, int]

    @property
    def is_clean(self) -> bool:
        return self.agrees and self.drained


def split_late_from_lost(counts: dict[str, Any], *, is_drained: bool) -> dict[str, Any]:
    """Return the counts of `verify` with waiting readings subtracted from the missing ones.

    If the run drained, nothing waits, so everything that is missing is lost.
    """
    waiting = ("waiting", "predictions_waiting")
    if is_drained:
        return counts | dict.fromkeys(waiting, 0)
    missing = ("missing", "predictions_missing")
    return counts | {name: counts[name] - counts[late] for name, late in zip(missing, waiting, strict=True)}


class Run:
    """A chaos run: a stack under faults, its load, and the verdict on it."""

    def __init__(self, settings: ChaosSettings, data: Path, stack: Stack, report: Report) -> None:
        self._settings = settings
        self._data = data
        self._stack = stack
        self._report = report
        self._fault_counts = FaultCounts()

    async def run(self, stop: asyncio.Event) -> Verdict | None:
        """Send load under faults, quiesce, drain and judge. Return the verdict.

        Return None if `stop` was set before the end.
        """
        return await first_completed(self._run_phases(), self._stack.supervisor.failure(), _wait_for(stop))

    async def _run_phases(self) -> Verdict:
        await self._stack.start()
        fleet = await self._stack.start_fleet(0, self._settings.seconds)
        planned = plan_faults(self._settings.seed, self._settings.seconds)
        self._report({"event": "started", "seed": self._settings.seed, "faults": len(planned)})
        await self._load(fleet, planned)
        await self._quiesce()
        self._report({"event": "draining"})
        stuck = await drain(self._stack, self._settings.stall_limit_s)
        if not stuck:
            await self._stack.stop_scorers()
            stuck = await drain(self._stack, self._settings.stall_limit_s)
        if stuck:
            log.error("not_drained", stuck=stuck, waited_s=self._settings.stall_limit_s)
        self._report({"event": "judging"})
        await self._stack.stop()
        return await self._judge(stuck)

    async def _load(self, fleet: SupervisedProcess, planned: tuple[Fault, ...]) -> None:
        """Inject the faults while the fleet sends.

        Return once the fleets have sent everything and no fault is in progress, or after a time limit.
        """
        is_over = asyncio.Event()
        polling = asyncio.create_task(self._poll_faults())
        limit_s = self._settings.seconds + self._settings.extra_fleets * _EXTRA_S + _OVERRUN_S
        try:
            async with asyncio.timeout(limit_s), asyncio.TaskGroup() as injecting:
                injecting.create_task(self._inject_faults(planned, is_over))
                await fleet.finished.wait()
                await self._extend_load()
                is_over.set()
        except TimeoutError:
            log.warning("load_broken_off", waited_s=limit_s)  # faults that did not strike are not counted
        finally:
            polling.cancel()

    async def _inject_faults(self, planned: tuple[Fault, ...], is_over: asyncio.Event) -> None:
        began_s = time.monotonic()
        injector = FaultInjector(self._stack, self._fault_counts, is_over)
        async with asyncio.TaskGroup() as injecting:
            for fault in planned:
                await asyncio.sleep(began_s + fault.at_s - time.monotonic())
                self._report({"event": "fault", "at_s": round(fault.at_s, 2), "kind": fault.kind})
                injecting.create_task(injector.inject(fault))

    async def _extend_load(self) -> None:
        """Start extra fleets, one at a time, while any kind of fault has not struck yet."""
        for number in range(1, 1 + self._settings.extra_fleets):
            late = [kind for kind in Kind if not self._fault_counts.has_happened(kind)]
            if not late:
                return
            self._report({"event": "sending_on", "for": ", ".join(late)})
            fleet = await self._stack.start_fleet(number, _EXTRA_S)
            await fleet.finished.wait()

    async def _poll_faults(self) -> None:
        while True:
            await self._note_faults()
            await asyncio.sleep(_LOOK_S)

    async def _note_faults(self) -> None:
        with suppress(*UNREACHABLE):
            self._fault_counts.note_struck(await self._stack.admin("GET", "/faults"))

    async def _quiesce(self) -> None:
        """Stop the fleets and delete the armed faults.

        A failpoint may still kill the emulator meanwhile, so requests to it are repeated.
        """
        await self._stack.wait_for_emulator()
        await self._stack.stop_fleets()
        await self._note_faults()
        while True:
            with suppress(*UNREACHABLE):
                await self._stack.admin("DELETE", "/faults")
                return
            await asyncio.sleep(_LOOK_S)

    async def _run_verify(self, program: Program) -> tuple[bytes, int]:
        """Run `verify`, and return its verdict line and exit code.

        An attempt that gives no verdict, as on a slow machine, is repeated.
        Raises Unverified if no attempt gives a verdict.
        """
        for _ in range(_VERDICTS_TRIED):
            process = await self._stack.supervisor.start_process(program)
            try:
                line, code = await process.read_line(), await process.wait()
            finally:
                process.kill()
            if line:
                return line, code
            log.warning("verify_without_verdict", exit_code=code, said=last_lines(program.log, 1))
        raise Unverified(" | ".join(last_lines(program.log, 1)) or f"no verdict: see {program.log}")

    async def _judge(self, stuck: tuple[str, ...]) -> Verdict:
        program = self._stack.programs.verify()
        line, code = await self._run_verify(program)
        for fault in last_lines(program.log, 20) if code else ():
            log.error("verify_fault", line=fault)
        writers = [path.stem for path in (self._data / "logs").glob("ingest-*.log")]
        faults = self._fault_counts.totals(self._data / "logs", writers)
        found = split_late_from_lost(json.loads(line), is_drained=not stuck) | {
            "seed": self._settings.seed,
            "seconds": self._settings.seconds,
            "drained": not stuck,
            "stuck": stuck,
            "agrees": code == 0,
            "complete": all(faults[kind] for kind in NEEDED),
            "faults": faults,
        }
        return msgspec.convert(found, Verdict)


async def _wait_for(stop: asyncio.Event) -> None:
    await stop.wait()
