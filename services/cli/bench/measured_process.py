"""A process that is measured, and can be pinned to cores."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.service.processes.process import EndedEarly, Process, Program

_STOP_GRACE_S = 20.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU time and memory that a process and its children have used so far."""

    cpu_s: float
    resident_bytes: int
    peak_bytes: int


class MeasuredProcess:
    """A Python module that runs as a process; an async context manager that ends it with SIGTERM."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        log: Path,
        cores: AbstractSet[int] = frozenset(),
    ) -> None:
        """Describe the process; entering the context starts it.

        `variables` override the environment of the current process. `log` is overwritten.
        If `cores` is empty, the process is not pinned.
        """
        environment = {**os.environ, **variables}
        self._program = Program(module, module, environment, log, arguments, pipes_stdout=True)
        self._cores = cores
        self.log = log
        self._process: Process

    async def __aenter__(self) -> Self:
        self.log.unlink(missing_ok=True)
        self._process = await Process.start(self._program)
        if self._cores:
            self.pin(self._cores)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._process.stop(_STOP_GRACE_S)

    def pin(self, cores: AbstractSet[int]) -> None:
        """Pin the process, and the children that it starts from now on, to these cores."""
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        for pid in _tree(self._process.pid):
            os.kill(pid, number)

    async def read_event(self, event: str) -> dict[str, Any]:
        """Return the next JSON line on stdout with this `event`.

        Raises EndedEarly if the process ends before such a line.
        """
        return await self._process.read_event(event)

    def logged_events(self, event: str) -> list[dict[str, Any]]:
        """Return the events of this name that the process has logged so far."""
        lines = (line for line in self.log.read_bytes().splitlines() if line.startswith(b"{"))
        return [fields for line in lines if (fields := json.loads(line))["event"] == event]

    async def wait_for_log(self, event: str) -> dict[str, Any]:
        """Wait for the first logged event of this name, and return it.

        Raises EndedEarly if the process ends before that.
        """
        while not (found := self.logged_events(event)):
            self.check_running()
            await asyncio.sleep(_LOOK_S)
        return found[0]

    def check_running(self) -> None:
        """Check that the process is running. Raises EndedEarly if the process has ended."""
        if self._process.exit_code is not None:
            raise EndedEarly(f"{self._program.name} ended: see {self.log}")

    def usage(self) -> Usage:
        """Return what the process and its children have used so far.

        Raises EndedEarly if the process has ended.
        """
        self.check_running()
        pids = _tree(self._process.pid)
        cpu_s = sum(map(_cpu_s, pids))
        memory = [_memory(pid) for pid in pids]
        return Usage(cpu_s, sum(now for now, _ in memory), sum(peak for _, peak in memory))

    def kill(self) -> None:
        """Send SIGKILL to the process and its children."""
        self.send(signal.SIGKILL)


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: value for name, _, value in (line.partition(":") for line in lines)}
    now, peak = (int(values[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak
