"""Keeps processes alive, and ends every one of them."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self

from shared.service.errors import FleetpriceError, NeedsAttention
from shared.service.logs import log
from shared.service.processes.process import Process, Program, last_lines
from shared.service.processes.restart_policy import Next, RestartPolicy

STOP_GRACE_S = 4.0
_CRASH_LINES = 5

Begin = Callable[[Program], Awaitable[Process]]


class KeepsFailing(FleetpriceError):
    """A service ended again and again soon after its start."""


class SupervisedProcess:
    """One service under supervision, over all its lives."""

    def __init__(self, program: Program, on_restart: Callable[[str], None], begin: Begin) -> None:
        self.program = program
        self.lives = RestartPolicy(program.may_finish, program.max_short_lives, program.longest_delay_s)
        self.first_line: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.finished = asyncio.Event()
        self._on_restart = on_restart
        self._begin = begin
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def keep(self) -> None:
        """Run it until it finishes or is stopped. Raises NeedsAttention or KeepsFailing."""
        try:
            while not self._stopping.is_set():
                started_s = time.monotonic()
                self._process = await self._begin(self.program)
                if self._stopping.is_set():
                    await self._process.stop(STOP_GRACE_S)
                await self._tell_first_line(self._process)
                code = await self._process.ended()
                if self._stopping.is_set() or await self._is_over(code, time.monotonic() - started_s):
                    return
        finally:
            self.finished.set()

    async def stop(self, grace_s: float) -> None:
        """Have it drain and end within `grace_s` seconds, and stay ended."""
        self._stopping.set()
        if self._process is not None:
            await self._process.stop(grace_s)
        await self.finished.wait()

    def send(self, number: signal.Signals) -> bool:
        """Send its process a signal, whose end is followed by another life; false where none runs."""
        return self._process is not None and self._process.send(number)

    def kill(self) -> None:
        """End it at once, for good."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    async def _tell_first_line(self, process: Process) -> None:
        if self.program.says_ready:
            line = await process.first_line()
            if line and not self.first_line.done():
                self.first_line.set_result(line)

    async def _is_over(self, code: int, lived_s: float) -> bool:
        name = self.program.name
        following = self.lives.after(code, lived_s)
        said = last_lines(self.program.log, _CRASH_LINES)
        if following is Next.FINISHED:
            return True
        if following is Next.REFUSED:
            raise NeedsAttention(f"{name}: {_without_prefix(said[-1]) if said else 'refused to start'}")
        log.warning("service_ended", service_name=name, exit_code=code, said=said, lived_s=round(lived_s, 1))
        if following is Next.GIVEN_UP:
            raise KeepsFailing(
                f"{name} ended {self.lives.short_lives} times in a row: see {self.program.log}"
            )
        self._on_restart(name)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.lives.delay_s):
                await self._stopping.wait()
        return False


class Supervisor:
    """An async context manager: on leaving, what still runs is stopped, the first started last."""

    def __init__(self, begin: Begin = Process.start) -> None:
        """`begin` starts one life of a program; it may be used for what is not to be kept alive, too."""
        self.begin = begin
        self._kept: dict[str, SupervisedProcess] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.restarts: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        first, *others = self._kept or ("",)
        await self.stop(others, STOP_GRACE_S)
        await self.stop((first,), STOP_GRACE_S)
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)
        self._failed.cancel()

    def start(self, program: Program) -> SupervisedProcess:
        """Start a service and keep it alive from now on."""
        kept = SupervisedProcess(program, self._count_restart, self.begin)
        task = asyncio.create_task(kept.keep())
        task.add_done_callback(self._report)
        self._kept[program.name], self._keeping[program.name] = kept, task
        return kept

    async def stop(self, names: Iterable[str], grace_s: float) -> None:
        """Have these end together, each with `grace_s` seconds to drain."""
        await asyncio.gather(*(self._kept[name].stop(grace_s) for name in names if name in self._kept))

    async def failure(self) -> NoReturn:
        """Raises what made a service end for good, when that happens."""
        await asyncio.shield(self._failed)
        raise AssertionError("a failure has an exception")

    def kill_all(self) -> None:
        for kept in self._kept.values():
            kept.kill()

    def _count_restart(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1

    def _report(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not self._failed.done():
            self._failed.set_exception(error)


def _without_prefix(line: str) -> str:
    return line.removeprefix("fleetprice: ")
