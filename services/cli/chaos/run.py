"""One run from its start to its verdict: `run` reads top to bottom."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from services.cli.chaos.drain import drained
from services.cli.chaos.event_log import Tell
from services.cli.chaos.fault_counts import NEEDED, FaultCounts
from services.cli.chaos.fault_injector import FaultInjector
from services.cli.chaos.schedule import Fault, Kind, schedule
from services.cli.chaos.settings import ChaosSettings
from services.cli.chaos.stack import UNREACHABLE, World
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
    """The oracle ended without a verdict."""


class Verdict(msgspec.Struct, frozen=True):
    """The last line of a run, in readings.

    `missing` is lost. Where the run did not drain, `waiting` readings stand in the hub after the lake's last
    event, or after the last one priced: late, not lost, and `stuck` says whose work it was.
    `drained`: everything landed and was priced. `agrees`: the oracle found nothing wrong.
    `complete`: every kind of fault has happened; a run that has not seen all proves less.
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
    """The oracle's counts, with what waits no longer among what is missing.

    In a run that drained nothing waits: whatever is not there is lost.
    """
    waiting = ("waiting", "predictions_waiting")
    if is_drained:
        return counts | dict.fromkeys(waiting, 0)
    missing = ("missing", "predictions_missing")
    return counts | {name: counts[name] - counts[late] for name, late in zip(missing, waiting, strict=True)}


class Run:
    """A world under faults."""

    def __init__(self, settings: ChaosSettings, data: Path, world: World, tell: Tell) -> None:
        self._settings = settings
        self._data = data
        self._world = world
        self._tell = tell
        self._tally = FaultCounts()

    async def run(self, stop: asyncio.Event) -> Verdict | None:
        """Load with faults, calm, drain, verdict; None where it was stopped before."""
        return await first_completed(self._run_phases(), self._world.supervisor.failure(), _when(stop))

    async def _run_phases(self) -> Verdict:
        await self._world.start()
        fleet = await self._world.start_fleet(0, self._settings.seconds)
        planned = schedule(self._settings.seed, self._settings.seconds)
        self._tell({"event": "started", "seed": self._settings.seed, "faults": len(planned)})
        await self._load(fleet, planned)
        await self._quiesce()
        self._tell({"event": "draining"})
        stuck = await drained(self._world, self._settings.stall_limit_s)
        if not stuck:
            await self._world.end_scorers()
            stuck = await drained(self._world, self._settings.stall_limit_s)
        if stuck:
            log.error("not_drained", stuck=stuck, waited_s=self._settings.stall_limit_s)
        self._tell({"event": "judging"})
        await self._world.end()
        return await self._judge(stuck)

    async def _load(self, fleet: SupervisedProcess, planned: tuple[Fault, ...]) -> None:
        """Until the fleet has sent its last and no fault holds anything, or that takes too long."""
        is_over = asyncio.Event()
        looking = asyncio.create_task(self._keep_looking())
        limit_s = self._settings.seconds + self._settings.extra_fleets * _EXTRA_S + _OVERRUN_S
        try:
            async with asyncio.timeout(limit_s), asyncio.TaskGroup() as striking:
                striking.create_task(self._strike(planned, is_over))
                await fleet.finished.wait()
                await self._send_on()
                is_over.set()
        except TimeoutError:
            log.warning("load_broken_off", waited_s=limit_s)  # what did not strike is missing in the counts
        finally:
            looking.cancel()

    async def _strike(self, planned: tuple[Fault, ...], is_over: asyncio.Event) -> None:
        began_s = time.monotonic()
        strikes = FaultInjector(self._world, self._tally, is_over)
        async with asyncio.TaskGroup() as striking:
            for fault in planned:
                await asyncio.sleep(began_s + fault.at_s - time.monotonic())
                self._tell({"event": "fault", "at_s": round(fault.at_s, 2), "kind": fault.kind})
                striking.create_task(strikes.inject(fault))

    async def _send_on(self) -> None:
        """More load from other fleets where a kind has had nothing to strike so far."""
        for number in range(1, 1 + self._settings.extra_fleets):
            late = [kind for kind in Kind if not self._tally.has_happened(kind)]
            if not late:
                return
            self._tell({"event": "sending_on", "for": ", ".join(late)})
            fleet = await self._world.start_fleet(number, _EXTRA_S)
            await fleet.finished.wait()

    async def _keep_looking(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        with suppress(*UNREACHABLE):
            self._tally.see(await self._world.admin("GET", "/faults"))

    async def _quiesce(self) -> None:
        """No more load, no more faults; a named point may still kill the emulator meanwhile."""
        await self._world.emulator_answers()
        await self._world.end_fleets()
        await self._look()
        while True:
            with suppress(*UNREACHABLE):
                await self._world.admin("DELETE", "/faults")
                return
            await asyncio.sleep(_LOOK_S)

    async def _asked(self, program: Program) -> tuple[bytes, int]:
        """The oracle's verdict and exit code; where a slow machine left it without one it is asked again."""
        for _ in range(_VERDICTS_TRIED):
            oracle = await self._world.supervisor.start_process(program)
            try:
                line, code = await oracle.read_line(), await oracle.wait()
            finally:
                oracle.kill()
            if line:
                return line, code
            log.warning("oracle_without_verdict", exit_code=code, said=last_lines(program.log, 1))
        raise Unverified(" | ".join(last_lines(program.log, 1)) or f"no verdict: see {program.log}")

    async def _judge(self, stuck: tuple[str, ...]) -> Verdict:
        program = self._world.programs.verify()
        line, code = await self._asked(program)
        for said in last_lines(program.log, 20) if code else ():
            log.error("oracle_said", line=said)
        writers = [path.stem for path in (self._data / "logs").glob("ingest-*.log")]
        faults = self._tally.counts(self._data / "logs", writers)
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


async def _when(stop: asyncio.Event) -> None:
    await stop.wait()
