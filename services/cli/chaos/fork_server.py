"""A process that has imported the services of a run once, and forks a process for each life of one.

The run kills and starts services all the time, and two cores would spend more on imports than on the load. A
life is otherwise what `python -m services.<name>` is: environment, log and process group of its own.
"""

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress

import msgspec

# Not the scorer: to import onnxruntime starts threads, for whose end a fork would wait in vain.
WARM = (
    "services.emulator",
    "services.ingest",
    "services.simulator",
    "services.compaction",
    "services.cli.verify",
)
MAX_BYTES = 1_048_576
_MAX_FILES = 2


class SpawnRequest(msgspec.Struct, frozen=True):
    """Asked for, with the files that become stdout and stderr: a life of a module, in an environment."""

    module: str
    environment: dict[str, str]


class ChildStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Told: a process was born (no code), or has ended with the code that `subprocess` would give it."""

    pid: int
    code: int | None = None


class ForkServer:
    """The parent's side of every fork."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ)
        self._wakes, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ)

    def next_life(self) -> SpawnRequest | None:
        """Returns in each child that is born, with what it shall be; None once nobody asks for more."""
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake.fileno())
        cold = list(WARM)
        while True:
            ready = {key.fileobj for key, _ in self._selector.select(0 if cold else None)}
            if cold and not ready:  # nobody waits
                importlib.import_module(f"{cold.pop(0)}.__main__")
                gc.freeze()  # what is shared with the children stays shared
            if self._wakes in ready:
                self._wakes.recv(MAX_BYTES)
                self._tell_ends()
            if self._link in ready:
                asked, files, _, _ = socket.recv_fds(self._link, MAX_BYTES, _MAX_FILES)
                if not asked:
                    return None
                birth = msgspec.json.decode(asked, type=SpawnRequest)
                if birth.module in WARM:
                    importlib.import_module(f"{birth.module}.__main__")
                if self._fork(files):
                    return birth

    def _fork(self, files: list[int]) -> bool:
        """Whether this is the child."""
        pid = os.fork()
        if not pid:
            self._become_child(files)
            return True
        with suppress(PermissionError):  # the child was faster
            os.setpgid(pid, pid)
        for file in files:
            os.close(file)
        self._tell(ChildStatus(pid))
        return False

    def _become_child(self, files: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        out, err = files
        os.dup2(out, sys.stdout.fileno())
        os.dup2(err, sys.stderr.fileno())
        self._selector.close()
        for end in (self._link, self._wakes, self._wake):
            end.close()
        for file in files:
            os.close(file)

    def _tell_ends(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._tell(ChildStatus(ended[0], os.waitstatus_to_exitcode(ended[1])))

    def _tell(self, word: ChildStatus) -> None:
        self._link.sendall(msgspec.json.encode(word))


def main() -> int:
    """Fork until the other end of stdin, a socket, is closed; in each child, the exit code of its service."""
    link = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    birth = ForkServer(link).next_life()
    if birth is None:
        return 0
    os.environ.clear()
    os.environ.update(birth.environment)
    code: int = importlib.import_module(f"{birth.module}.__main__").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
