"""One life of a service: a child process of its own session, whose output goes to its log."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.service.processes.restart_policy import LONGEST_DELAY_S, MAX_SHORT_LIVES

_TAIL_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Program:
    """A service as a command: `python -m <module>` in an environment."""

    name: str
    module: str
    environment: Mapping[str, str]
    log: Path
    may_finish: bool = False
    says_ready: bool = False
    awaits_input_end: bool = False
    max_short_lives: int = MAX_SHORT_LIVES
    longest_delay_s: float = LONGEST_DELAY_S


class Child(Protocol):
    """What is asked of a child, asyncio's own or another's."""

    pid: int
    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    async def wait(self) -> int: ...


class Process:
    """A running (or ended) child. A terminal's Ctrl-C does not reach it, the parent's death does."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @classmethod
    async def start(cls, program: Program) -> "Process":
        with program.log.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                program.module,
                env={**program.environment, "FLEETPRICE_PARENT_PID": str(os.getpid())},
                stdin=asyncio.subprocess.PIPE if program.awaits_input_end else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if program.says_ready else log,
                stderr=log,
                start_new_session=True,
            )
        return cls(child)

    async def first_line(self) -> bytes:
        """What it wrote first on stdout, or next; empty where it ended before."""
        stream = self._child.stdout
        return await stream.readline() if stream else b""

    async def last_line(self) -> bytes:
        """What it wrote last on stdout, once it has closed it."""
        last = b""
        while line := await self.first_line():
            last = line
        return last

    def send(self, number: signal.Signals) -> bool:
        """Send it a signal; false where it has ended."""
        if self._child.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            self._child.send_signal(number)
            return True
        return False

    def end_input(self) -> None:
        """Close its stdin: what it awaited has come."""
        if self._child.stdin is not None:
            self._child.stdin.close()

    async def ended(self) -> int:
        """The exit code, once it has ended; negative: the signal that ended it."""
        return await self._child.wait()

    async def stop(self, grace_s: float) -> None:
        """Ask it to drain and end; after `grace_s` seconds end it and whatever it started."""
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self._child.wait()
        except TimeoutError:
            self.kill()
            await self._child.wait()

    def kill(self) -> None:
        """End the whole process group at once."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log: what a crash left."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]
