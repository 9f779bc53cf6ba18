"""A child process: `python -m <module>` in a separate session, with its output appended to a log."""

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
    """A child ended before it wrote the awaited event; the child's log says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python module to run as a command, with its environment.

    stderr is appended to `log`, and so is stdout unless `pipes_stdout` is true. If `log` is None, the child
    uses the parent's stderr and stdout. The last three fields are for a supervisor: see RestartPolicy.
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
    """The handle of a started child: asyncio's process, or an equivalent from another way to start one."""

    pid: int
    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    async def wait(self) -> int: ...


class Process:
    """A child that runs or has ended. It ends with its parent; Ctrl-C in a terminal does not reach it."""

    def __init__(self, program: Program, child: Child) -> None:
        self.program = program
        self._child = child

    @classmethod
    async def start(cls, program: Program, stdin: int = asyncio.subprocess.DEVNULL) -> "Process":
        """Start `program`.

        `stdin` is a file descriptor, or PIPE if `write` and `end_input` will be used.
        """
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
        """The exit code; None while the child runs, and -N if signal N ended it."""
        return self._child.returncode

    async def wait(self) -> int:
        """Wait until the child has ended, and return its exit code."""
        return await self._child.wait()

    async def read_line(self) -> bytes:
        """Return the next line of stdout, or empty bytes once stdout is closed or if it is not piped."""
        stream = self._child.stdout
        return await stream.readline() if stream else b""

    async def read_last_line(self) -> bytes:
        """Read stdout until it is closed, and return its last line."""
        last = b""
        while line := await self.read_line():
            last = line
        return last

    async def read_event(self, event: str) -> dict[str, Any]:
        """Return the next JSON line of stdout whose `event` is the given one; skip other events.

        Raises EndedEarly if stdout is closed before such a line.
        """
        while line := await self.read_line():
            fields: dict[str, Any] = json.loads(line)
            if fields["event"] == event:
                return fields
        raise EndedEarly(f"{self.program.name} ended before {event}: see {self.program.log}")

    def write(self, data: bytes) -> None:
        """Write to the child's stdin; do nothing if stdin is not a pipe."""
        if self._child.stdin is not None:
            self._child.stdin.write(data)

    def end_input(self) -> None:
        """Close the child's stdin; do nothing if stdin is not a pipe."""
        if self._child.stdin is not None:
            self._child.stdin.close()

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to the child. Return False if the child has already ended."""
        if self._child.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            self._child.send_signal(number)
            return True
        return False

    async def stop(self, grace_s: float) -> bool:
        """Send SIGTERM, and kill the process group if the child has not ended after `grace_s` seconds.

        Return False if the child had to be killed.
        """
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
        """Kill the child's whole process group, unless the child has ended."""
        if self._child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)


def last_lines(log: Path | None, count: int) -> list[str]:
    """Return up to `count` of a log's last non-blank lines, or an empty list if `log` is None."""
    if log is None:
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]


def last_error(log: Path | None) -> str:
    """Return the last non-blank line of a log without the prefix `fleetprice: `.

    Return an empty text if there is no such line.
    """
    return "".join(last_lines(log, 1)).removeprefix("fleetprice: ")
