"""Run many chaos runs with consecutive seeds, each in its own process.

A campaign fails if any of its runs is not clean.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from services.cli.chaos.event_log import Report
from services.cli.chaos.fault_counts import NEEDED
from services.cli.chaos.settings import ChaosSettings
from shared.service.errors import NeedsAttention
from shared.service.processes.process import Process, Program, last_error, last_lines
from shared.service.run import EXIT_DONE, EXIT_NEEDS_ATTENTION
from shared.service.settings import environment_of

_STOP_GRACE_S = 30.0
_LOG_LINES = 3
_SUMMED = (
    "sent",
    "landed",
    "missing",
    "doubled",
    "out_of_order",
    "dead_lettered",
    "predicted",
    "predictions_missing",
    "predictions_doubled",
    "predictions_doubled_raw",
    "waiting",
    "predictions_waiting",
    "events",
    "files",
)
_WRONG = (
    "missing",
    "doubled",
    "out_of_order",
    "predictions_missing",
    "predictions_doubled",
    "waiting",
    "predictions_waiting",
    "stuck",
)


@dataclass(slots=True)
class Total:
    """The totals of a campaign, printed as its last line.

    `complete` counts the runs that were clean and saw every kind of fault.
    """

    runs: int = 0
    complete: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SUMMED, 0))
    faults: dict[str, int] = field(default_factory=dict)

    def add(self, verdict: Mapping[str, Any]) -> None:
        """Add the counts of one run's verdict to the totals."""
        for name in _SUMMED:
            self.sums[name] += verdict[name]
        for kind, times in verdict["faults"].items():
            self.faults[kind] = self.faults.get(kind, 0) + times

    def as_json(self) -> str:
        """Return the totals as one JSON object, with the entries of `sums` at its top level."""
        counted = {"schedules": self.complete, "runs": self.runs, "failed_seeds": self.failed_seeds}
        return msgspec.json.encode(counted | self.sums | {"faults": self.faults}).decode()


class Campaign:
    """A campaign of chaos runs with consecutive seeds.

    It ends when complete runs and failed runs together number `schedules`, or after twice as many runs.
    """

    def __init__(self, settings: ChaosSettings, logs: Path, report: Report) -> None:
        self._settings = settings
        self._logs = logs
        self._report = report
        self._seeds: Iterator[int] = count(settings.seed)
        self.total = Total()

    @property
    def is_over(self) -> bool:
        total, wanted = self.total, self._settings.schedules
        return total.complete + len(total.failed_seeds) >= wanted or total.runs >= 2 * wanted

    @property
    def is_clean(self) -> bool:
        return not self.total.failed_seeds and self.total.complete >= self._settings.schedules

    async def run(self) -> None:
        workers = [asyncio.create_task(self._run_seeds()) for _ in range(self._settings.at_once)]
        try:
            # A worker ends once no more runs are needed: those that the others have begun are superfluous.
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        for worker in workers:
            if not worker.cancelled():
                worker.result()

    async def _run_seeds(self) -> None:
        while not self.is_over:
            await self._run_seed(next(self._seeds))

    async def _run_seed(self, seed: int) -> None:
        program = self._program(seed)
        began_s = time.monotonic()
        process = await Process.start(program)
        try:
            line = await process.read_last_line()
            code = await process.wait()
        finally:
            await process.stop(_STOP_GRACE_S)
        stderr = last_lines(program.log, _LOG_LINES)
        if code == EXIT_NEEDS_ATTENTION and not self.total.complete:
            raise NeedsAttention(last_error(program.log) or f"seed {seed} refused")
        self.note(seed, code, line, stderr, round(time.monotonic() - began_s))

    def note(self, seed: int, code: int, line: bytes, stderr: Sequence[str], took_s: int) -> None:
        """Count and report a run.

        `code` is the exit code of the run. `line` is its last line on stdout; `stderr` holds its last lines
        on stderr.
        """
        self.total.runs += 1
        verdict = _parse_verdict(line)
        if verdict is not None:
            self.total.add(verdict)
        if code != EXIT_DONE or verdict is None:
            self.total.failed_seeds.append(seed)
            found = {} if verdict is None else {name: verdict[name] for name in _WRONG if verdict[name]}
            self._report(
                {"event": "failed", "seed": seed, "took_s": took_s, **found, "said": " | ".join(stderr)}
            )
            return
        self.total.complete += verdict["complete"]
        counts = {name: verdict[name] for name in ("seed", "events", "sent")}
        never = ", ".join(kind for kind in NEEDED if not verdict["faults"][kind])
        self._report({"event": "clean", **counts, "took_s": took_s, "never": never or "none"})

    def _program(self, seed: int) -> Program:
        one = self._settings.model_dump(
            include={"seconds", "rate", "writers", "stall_limit_s", "extra_fleets"}
        )
        own = environment_of(ChaosSettings, {**one, "seed": seed, "schedules": 1, "as_json": True})
        log = self._logs / f"seed-{seed}.log"
        return Program(f"seed-{seed}", "services.cli.chaos", {**os.environ, **own}, log, pipes_stdout=True)


def _parse_verdict(line: bytes) -> Mapping[str, Any] | None:
    """Return the verdict in the last line of a run, or None if the line holds none.

    A line without a verdict is an event, or empty.
    """
    found = msgspec.json.decode(line) if line else {}
    return found if isinstance(found, dict) and "faults" in found and "sent" in found else None
