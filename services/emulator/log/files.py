"""Files of the logs, opened on first use: a namespace has more files than a process may hold open."""

import os
from collections import deque
from pathlib import Path

# Far below the 1,024 descriptors that most systems grant, because connections need some too.
MAX_OPEN_FILES = 256


class OpenFiles:
    """The files that are open; above `limit`, the file that was opened first is closed. Not thread-safe."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._files: deque[LogFile] = deque()

    def add(self, file: "LogFile") -> None:
        self._files.append(file)
        if len(self._files) > self._limit:
            self._files[0].close()

    def remove(self, file: "LogFile") -> None:
        self._files.remove(file)


class LogFile:
    """A file that is opened, and created if it is missing, by its first read or write."""

    def __init__(self, path: Path, files: OpenFiles) -> None:
        self.path = path
        self._files = files
        self._fd = -1

    def read(self, position: int, size: int) -> bytes:
        """Return up to `size` bytes, fewer at the end of the file.

        Raises OSError if the file cannot be read.
        """
        return os.pread(self._fd if self._fd >= 0 else self._open(), size, position)

    def write(self, data: bytes, position: int) -> None:
        """Write all of `data`. Raises OSError if that fails; a part of `data` may have been written then."""
        fd = self._fd if self._fd >= 0 else self._open()
        written = os.pwrite(fd, data, position)
        while written < len(data):
            written += os.pwrite(fd, memoryview(data)[written:], position + written)

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._fd if self._fd >= 0 else self._open(), size_bytes)

    def close(self) -> None:
        if self._fd >= 0:
            self._files.remove(self)
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._files.add(self)
        return self._fd


def sync_file(path: Path) -> None:
    """Make everything written to the file durable, whichever descriptor wrote it; safe in a thread."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)
