"""Lives of services as children of a nursery; to the supervisor each is a process like any other."""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from types import TracebackType
from typing import Self

import msgspec

from services.cli.chaos.fork_server import MAX_BYTES, ChildStatus, SpawnRequest
from shared.service.errors import FleetpriceError
from shared.service.processes.process import Process, Program
from shared.service.settings import PREFIX


class ForkServerEnded(FleetpriceError):
    """No process can be started any more; those that ran ended with it."""


class ForkedChild:
    """A child of the nursery's, which tells when it ended."""

    stdin: asyncio.StreamWriter | None = None

    def __init__(self, pid: int, stdout: asyncio.StreamReader | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def send_signal(self, number: signal.Signals) -> None:
        """Raises ProcessLookupError where it has ended."""
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """The exit code, once it has ended; negative: the signal that ended it."""
        return await asyncio.shield(self._ended)

    def note_end(self, code: int) -> None:
        """The nursery says so."""
        self.returncode = code
        self._ended.set_result(code)


class ForkedProcesses:
    """An async context manager: `start` is Process.start without the imports; at its end all of them end."""

    def __init__(self) -> None:
        self._link, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._unborn: deque[tuple[asyncio.Future[ForkedChild], asyncio.StreamReader | None]] = deque()
        self._children: dict[int, ForkedChild] = {}
        self._pipes: list[asyncio.ReadTransport] = []
        self._nursery: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        with self._theirs:
            self._nursery = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.cli.chaos.fork_server",
                stdin=self._theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        self._link.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link, self._hear)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._part()
        for pipe in self._pipes:
            pipe.close()
        await self._nursery.wait()

    async def start(self, program: Program) -> Process:
        """Begin a life of `program`. Raises ForkServerEnded."""
        environment = {**program.environment, f"{PREFIX}PARENT_PID": str(self._nursery.pid)}
        asked = msgspec.json.encode(SpawnRequest(program.module, environment))
        born: asyncio.Future[ForkedChild] = asyncio.get_running_loop().create_future()
        with program.log.open("ab") as log:
            if not program.says_ready:
                self._ask(asked, [log.fileno(), log.fileno()])
                self._unborn.append((born, None))
            else:
                reads, writes = os.pipe()
                stdout = await self._reader(reads)
                self._ask(asked, [writes, log.fileno()])
                self._unborn.append((born, stdout))
                os.close(writes)
        return Process(await born)

    async def _reader(self, reads: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        pipe, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(reads, "rb"))
        self._pipes.append(pipe)
        return stream

    def _ask(self, asked: bytes, files: list[int]) -> None:
        try:
            socket.send_fds(self._link, [asked], files)
        except OSError as error:
            raise ForkServerEnded("the nursery ended: nothing can be started any more") from error

    def _hear(self) -> None:
        heard = self._link.recv(MAX_BYTES)
        if not heard:
            self._part()
            return
        word = msgspec.json.decode(heard, type=ChildStatus)
        if word.code is not None:
            self._children.pop(word.pid).note_end(word.code)
            return
        born, stdout = self._unborn.popleft()
        child = self._children[word.pid] = ForkedChild(word.pid, stdout)
        if not born.cancelled():
            born.set_result(child)

    def _part(self) -> None:
        """Close the link: the nursery ends, and the kernel ends its children with it."""
        if self._link.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._link)
        self._link.close()
        for child in self._children.values():
            child.note_end(-signal.SIGKILL)
        for born, _ in self._unborn:
            if not born.done():
                born.set_exception(ForkServerEnded("the nursery ended before it bore what was asked for"))
        self._children.clear()
        self._unborn.clear()
