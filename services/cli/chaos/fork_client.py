"""Start services as children of a fork server; the supervisor handles each like any other process."""

import asyncio
import os
import signal
import socket
from collections import deque
from types import TracebackType
from typing import Self

import msgspec

from services.cli.chaos.fork_server import MAX_BYTES, ChildStatus, SpawnRequest
from shared.service.errors import FleetpriceError
from shared.service.processes.process import Process, Program
from shared.service.settings import PREFIX

_FORK_SERVER = "services.cli.chaos.fork_server"


class ForkServerEnded(FleetpriceError):
    """The fork server has ended: its children ended with it, and no process can be started any more."""


class ForkedChild:
    """A child process of the fork server, which reports when the child ends."""

    stdin: asyncio.StreamWriter | None = None

    def __init__(self, pid: int, stdout: asyncio.StreamReader | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the child. Raises ProcessLookupError if the child no longer exists."""
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for the child to end, and return its exit code; -N if signal N ended it."""
        return await asyncio.shield(self._ended)

    def note_end(self, code: int) -> None:
        """Record the exit code of the child, and wake those who wait for its end."""
        self.returncode = code
        self._ended.set_result(code)


class ForkedProcesses:
    """A fork server and its children; an async context manager that ends all children on exit.

    `start` replaces Process.start, and spares each child the imports.
    """

    def __init__(self) -> None:
        self._link, self._server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requested: deque[tuple[asyncio.Future[ForkedChild], asyncio.StreamReader | None]] = deque()
        self._children: dict[int, ForkedChild] = {}
        self._pipes: list[asyncio.ReadTransport] = []
        self._server: Process

    async def __aenter__(self) -> Self:
        with self._server_end as link:
            program = Program("fork server", _FORK_SERVER, os.environ)
            self._server = await Process.start(program, stdin=link.fileno())
        self._link.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link, self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._disconnect()
        for pipe in self._pipes:
            pipe.close()
        await self._server.wait()

    async def start(self, program: Program) -> Process:
        """Start `program` in a child of the fork server.

        Raises ValueError if `program` has no log or has arguments.
        Raises ForkServerEnded if the fork server has ended.
        """
        if program.log is None or program.arguments:
            raise ValueError(f"the fork server cannot start {program.name}")
        environment = {**program.environment, f"{PREFIX}PARENT_PID": str(self._server.pid)}
        request = msgspec.json.encode(SpawnRequest(program.module, environment))
        started: asyncio.Future[ForkedChild] = asyncio.get_running_loop().create_future()
        with program.log.open("ab") as log:
            if not program.pipes_stdout:
                self._send(request, [log.fileno(), log.fileno()])
                self._requested.append((started, None))
            else:
                read_end, write_end = os.pipe()
                stdout = await self._open_reader(read_end)
                self._send(request, [write_end, log.fileno()])
                self._requested.append((started, stdout))
                os.close(write_end)
        return Process(program, await started)

    async def _open_reader(self, read_end: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        pipe, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(read_end, "rb"))
        self._pipes.append(pipe)
        return stream

    def _send(self, request: bytes, files: list[int]) -> None:
        try:
            socket.send_fds(self._link, [request], files)
        except OSError as error:
            raise ForkServerEnded("the fork server ended: nothing can be started any more") from error

    def _receive(self) -> None:
        received = self._link.recv(MAX_BYTES)
        if not received:
            self._disconnect()
            return
        status = msgspec.json.decode(received, type=ChildStatus)
        if status.code is not None:
            self._children.pop(status.pid).note_end(status.code)
            return
        started, stdout = self._requested.popleft()
        child = self._children[status.pid] = ForkedChild(status.pid, stdout)
        if not started.cancelled():
            started.set_result(child)

    def _disconnect(self) -> None:
        """Close the link to the fork server: the server ends, and the kernel kills its children with it."""
        if self._link.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        for child in self._children.values():
            child.note_end(-signal.SIGKILL)
        for started, _ in self._requested:
            if not started.done():
                started.set_exception(ForkServerEnded("the fork server ended before it started the child"))
        self._children.clear()
        self._requested.clear()
