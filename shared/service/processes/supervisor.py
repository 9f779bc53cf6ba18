"""Supervisor that starts processes, restarts those that end, and ends all of them when it exits."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self

from shared.service.errors import FleetpriceError, NeedsAttention
from shared.service.logs import log
from shared.service.processes.process import Process, Program, last_error, last_lines
from shared.service.processes.restart_policy import Next, RestartPolicy

STOP_GRACE_S = 4.0
_CRASH_LINES = 5

StartProcess = Callable[[Program], Awaitable[Process]]


class KeepsFailing(FleetpriceError):
    """A process ended again and again soon after its start."""


class SupervisedProcess:
    """A program whose process is started again whenever it ends, as its RestartPolicy decides."""

    def __init__(self, program: Program, start_process: StartProcess, log_end: "LogEnd") -> None:
        self.program = program
        self.policy = RestartPolicy(program.may_finish, program.max_short_lives, program.longest_delay_s)
        self.first_line: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.finished = asyncio.Event()
        self._start_process = start_process
        self._log_end = log_end
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run the program until its process finishes or is stopped.

        Raises NeedsAttention if the process ends with exit code 2, and KeepsFailing if its restarts are given
        up.
        """
        try:
            while not self._stopping.is_set():
                started_s = time.monotonic()
                self._process = await self._start_process(self.program)
                if self._stopping.is_set():
                    await self._process.stop(STOP_GRACE_S)
                await self._keep_first_line(self._process)
                exit_code = await self._process.wait()
                if self._stopping.is_set() or self._is_over(exit_code, time.monotonic() - started_s):
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.policy.delay_s):
                        await self._stopping.wait()
        finally:
            self.finished.set()

    async def stop(self, grace_s: float) -> bool:
        """Let the process drain and end it for good.

        Return False if the process had to be killed after `grace_s` seconds.
        """
        self._stopping.set()
        is_drained = self._process is None or await self._process.stop(grace_s)
        await self.finished.wait()
        return is_drained

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to the current process. Return False if no process runs."""
        return self._process is not None and self._process.send(number)

    def kill(self) -> None:
        """Kill the current process; it is not restarted."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    async def _keep_first_line(self, process: Process) -> None:
        if self.program.pipes_stdout:
            line = await process.read_line()
            if line and not self.first_line.done():
                self.first_line.set_result(line)

    def _is_over(self, exit_code: int, lived_s: float) -> bool:
        program = self.program
        following = self.policy.after(exit_code, lived_s)
        if following is Next.FINISHED:
            return True
        if following is Next.REFUSED:
            if program.log is None:
                raise NeedsAttention(f"{program.name} cannot go on: the line above says what to change")
            raise NeedsAttention(f"{program.name}: {last_error(program.log) or 'refused to start'}")
        self._log_end(self, exit_code, lived_s)
        if following is Next.GIVEN_UP:
            hint = "" if program.log is None else f": see {program.log}"
            raise KeepsFailing(f"{program.name} ended {self.policy.short_lives} times in a row{hint}")
        return False


LogEnd = Callable[[SupervisedProcess, int, float], None]


def log_service_end(service: SupervisedProcess, exit_code: int, lived_s: float) -> None:
    """Log an end that was not requested, with the last lines that the process wrote to its log."""
    said = last_lines(service.program.log, _CRASH_LINES)
    name = service.program.name
    log.warning("service_ended", service_name=name, exit_code=exit_code, said=said, lived_s=round(lived_s, 1))


class Supervisor:
    """A supervisor of several programs, used as an async context manager.

    On exit it stops all processes that still run; the one that was started first is stopped last.
    """

    def __init__(
        self, start_process: StartProcess = Process.start, log_end: LogEnd = log_service_end
    ) -> None:
        """Create a supervisor without processes.

        `start_process` may also be called to start unsupervised processes. `log_end` is called to log an end
        that was not requested.
        """
        self.start_process = start_process
        self._log_end = log_end
        self._supervised: dict[str, SupervisedProcess] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        first, *others = self._supervised or ("",)
        await self.stop(others, STOP_GRACE_S)
        await self.stop((first,), STOP_GRACE_S)
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._failed.cancel()

    @property
    def restarts(self) -> dict[str, int]:
        """The number of restarts of each program, by name; programs without a restart are left out."""
        return {name: one.policy.restarts for name, one in self._supervised.items() if one.policy.restarts}

    def start(self, program: Program) -> SupervisedProcess:
        """Start a program and supervise its process from now on."""
        supervised = SupervisedProcess(program, self.start_process, self._log_end)
        task = asyncio.create_task(supervised.run())
        task.add_done_callback(self._note_failure)
        self._supervised[program.name], self._running[program.name] = supervised, task
        return supervised

    async def stop(self, names: Iterable[str], grace_s: float) -> None:
        """Let the named programs drain, all at the same time, and end them for good.

        A process that has not ended after `grace_s` seconds is killed.
        """
        await asyncio.gather(
            *(self._supervised[name].stop(grace_s) for name in names if name in self._supervised)
        )

    async def failure(self) -> NoReturn:
        """Wait until a process has failed for good, and raise its error.

        Raises NeedsAttention if a process ends with exit code 2, and KeepsFailing if its restarts are given
        up.
        """
        await asyncio.shield(self._failed)
        raise AssertionError("a failure has an exception")

    def kill_all(self) -> None:
        for supervised in self._supervised.values():
            supervised.kill()

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not self._failed.done():
            self._failed.set_exception(error)
