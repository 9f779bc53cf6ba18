"""A process that imports the services of a run once, and forks a child for each service to start.

A run kills and restarts services all the time; on two cores, imports would take more time than the load.
Otherwise a child is like `python -m services.<name>`: it has a separate environment, log and process group.
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
    """A request to start a module in a given environment.

    The file descriptors for stdout and stderr are sent along with the request.
    """

    module: str
    environment: dict[str, str]


class ChildStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A report that a child was started (`code` is None) or has ended.

    `code` is the exit code that `subprocess` would give: -N if signal N ended the child.
    """

    pid: int
    code: int | None = None


class ForkServer:
    """A loop that receives requests, forks children, and reports when children end."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ)
        self._wakes, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ)

    def serve(self) -> SpawnRequest | None:
        """Fork a child for each request.

        Return the request in each child, and None in the server once the link is closed.
        """
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake.fileno())
        cold = list(WARM)
        while True:
            ready = {key.fileobj for key, _ in self._selector.select(0 if cold else None)}
            if cold and not ready:  # no request waits
                importlib.import_module(f"{cold.pop(0)}.__main__")
                gc.freeze()  # what is shared with the children stays shared
            if self._wakes in ready:
                self._wakes.recv(MAX_BYTES)
                self._report_ends()
            if self._link in ready:
                received, files, _, _ = socket.recv_fds(self._link, MAX_BYTES, _MAX_FILES)
                if not received:
                    return None
                request = msgspec.json.decode(received, type=SpawnRequest)
                if request.module in WARM:
                    importlib.import_module(f"{request.module}.__main__")
                if self._fork(files):
                    return request

    def _fork(self, files: list[int]) -> bool:
        """Fork a child whose stdout and stderr are `files`. Return True in the child, False in the server."""
        pid = os.fork()
        if not pid:
            self._become_child(files)
            return True
        with suppress(PermissionError):  # the child was faster
            os.setpgid(pid, pid)
        for file in files:
            os.close(file)
        self._report(ChildStatus(pid))
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

    def _report_ends(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._report(ChildStatus(ended[0], os.waitstatus_to_exitcode(ended[1])))

    def _report(self, status: ChildStatus) -> None:
        self._link.sendall(msgspec.json.encode(status))


def main() -> int:
    """Fork children until the peer closes the socket on stdin.

    In the server, return 0; in a child, run the requested service and return its exit code.
    """
    link = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    request = ForkServer(link).serve()
    if request is None:
        return 0
    os.environ.clear()
    os.environ.update(request.environment)
    code: int = importlib.import_module(f"{request.module}.__main__").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
