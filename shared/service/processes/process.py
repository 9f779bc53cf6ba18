"""One child process: `python -m <module>` in a session of its own, whose output goes to a log."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shared.service.errors import FleetpriceError
from shared.service.processes.restart_policy import LONGEST_DELAY_S, MAX_SHORT_LIVES

_TAIL_BYTES = 4_096


class EndedEarly(FleetpriceError):
    """A child ended before it wrote what was awaited; its log says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module as a command in an environment.

    stderr is appended to `log`, and stdout too unless `pipes_stdout`. Without a log both are the parent's.
    The last three fields are for a supervisor: see RestartPolicy.
    """

    name: str
    module: str
    environment: Mapping[str, str]
    log: Path | None = None
    arguments: Sequence[str] = ()
    pipes_stdout: bool = False
    may_finish: bool = False
    max_short_lives: int = MAX_SHORT_LIVES
    longest_delay_s: float = LONGEST_DELAY_S


class Child(Protocol):
    """The handle of a started child: asyncio's own, or that of another way to start one."""

    pid: int
    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    async def wait(self) -> int: ...


class Process:
    """A running (or ended) child. It ends with its parent; a terminal's Ctrl-C does not reach it."""

    def __init__(self, program: Program, child: Child) -> None:
        self.program = program
        self._child = child

    @classmethod
    async def start(cls, program: Program, stdin: int = asyncio.subprocess.DEVNULL) -> "Process":
        """Start `program`. `stdin` is a file descriptor, or PIPE for `write` and `end_input`."""
        log = None if program.log is None else program.log.open("ab")
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                program.module,
                *program.arguments,
                env={**program.environment, "FLEETPRICE_PARENT_PID": str(os.getpid())},
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE if program.pipes_stdout else log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()
        return cls(program, child)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._child.returncode

    async def wait(self) -> int:
        """Return the exit code once it has ended."""
        return await self._child.wait()

    async def read_line(self) -> bytes:
        """Return the next line of stdout; empty once stdout is closed."""
        stream = self._child.stdout
        return await stream.readline() if stream else b""

    async def read_last_line(self) -> bytes:
        """Return the last line of stdout, once stdout is closed."""
        last = b""
        while line := await self.read_line():
            last = line
        return last

    async def read_event(self, event: str) -> dict[str, Any]:
        """Return the next JSON line of stdout with this `event`. Raises EndedEarly if there is none."""
        while line := await self.read_line():
            fields: dict[str, Any] = json.loads(line)
            if fields["event"] == event:
                return fields
        raise EndedEarly(f"{self.program.name} ended before {event}: see {self.program.log}")

    def write(self, data: bytes) -> None:
        """Write to its stdin, which is a pipe."""
        if self._child.stdin is not None:
            self._child.stdin.write(data)

    def end_input(self) -> None:
        """Close its stdin."""
        if self._child.stdin is not None:
            self._child.stdin.close()

    def send(self, number: signal.Signals) -> bool:
        """Send a signal. Return False if it has ended."""
        if self._child.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            self._child.send_signal(number)
            return True
        return False

    async def stop(self, grace_s: float) -> bool:
        """Send SIGTERM; after `grace_s` seconds kill the process group. Return False if it was killed."""
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self._child.wait()
        except TimeoutError:
            self.kill()
            await self._child.wait()
            return False
        return True

    def kill(self) -> None:
        """Kill the whole process group."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)


def last_lines(log: Path | None, count: int) -> list[str]:
    """Return the last lines of a log that are not blank; none without a log."""
    if log is None:
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]


def last_error(log: Path | None) -> str:
    """Return the last line of a log without the prefix of a refusal; empty if there is none."""
    return "".join(last_lines(log, 1)).removeprefix("fleetprice: ")
