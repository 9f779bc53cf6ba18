"""Processes that are measured, each held to its own cores."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.service.errors import FleetpriceError

_STOP_GRACE_S = 20.0


class ProgramFailed(FleetpriceError):
    """A process under measurement ended before it was done; its log says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used so far."""

    cpu_s: float
    resident_bytes: int
    peak_bytes: int


class Program:
    """A Python module as a process; an async context manager that ends it with SIGTERM."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        log: Path,
        cores: AbstractSet[int] = frozenset(),
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._variables = {**os.environ, **variables, "FLEETPRICE_PARENT_PID": str(os.getpid())}
        self._cores = cores
        self.log = log
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._variables, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        if self._cores:
            self.hold(self._cores)
        return self

    def hold(self, cores: AbstractSet[int]) -> None:
        """Hold it, and what it starts from now on, to these cores."""
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        for pid in _tree(self._process.pid):
            os.kill(pid, number)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_GRACE_S):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.communicate()

    async def told(self, event: str) -> dict[str, Any]:
        """The next JSON line on stdout that tells of `event`."""
        stdout = self._process.stdout
        while stdout is not None and (line := await stdout.readline()):
            said: dict[str, Any] = json.loads(line)
            if said["event"] == event:
                return said
        raise ProgramFailed(f"{' '.join(self._command[1:4])} ended before {event}: see {self.log}")

    async def logged(self, event: str) -> dict[str, Any]:
        """The first log event of that name, waited for."""
        while True:
            for line in self.log.read_bytes().splitlines():
                if line.startswith(b"{") and (said := json.loads(line))["event"] == event:
                    return dict(said)
            self._still_running()
            await asyncio.sleep(0.02)

    def _still_running(self) -> None:
        if self._process.returncode is not None:
            raise ProgramFailed(f"{' '.join(self._command[1:4])} ended: see {self.log}")

    def usage(self) -> Usage:
        """Of the process and its children."""
        self._still_running()
        pids = _tree(self._process.pid)
        cpu_s = sum(map(_cpu_s, pids))
        memory = [_memory(pid) for pid in pids]
        return Usage(cpu_s, sum(now for now, _ in memory), sum(peak for _, peak in memory))


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
