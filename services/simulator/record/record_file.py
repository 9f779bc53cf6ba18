"""A file of JSON objects, one per line, that stays readable after a kill -9 at any time.

Each line is one write(2) to a file opened for appending. The kernel has the line before `append` returns, so
a killed process loses nothing; a machine that fails may lose the last lines. A line that was cut short is
removed when the file is opened again.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

_TAIL_BYTES = 1 << 16


class RecordFile:
    """An append-only file of lines, for one writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.size_bytes = self._cut_torn_line()

    def append(self, line: bytes) -> None:
        """Append a line. `line` has no newline; it is added here."""
        rest = memoryview(line + b"\n")
        while rest:
            written = os.write(self._file, rest)
            rest = rest[written:]
            self.size_bytes += written

    def read_lines(self, start_bytes: int = 0) -> Iterator[bytes]:
        """Yield the lines that start at byte `start_bytes` or later, without their newlines."""
        with self.path.open("rb") as file:
            file.seek(start_bytes)
            for line in file:
                yield line[:-1]

    def is_line_start(self, position_bytes: int) -> bool:
        """Return whether a line starts, or the file ends, at this byte position."""
        if not 0 < position_bytes <= self.size_bytes:
            return position_bytes == 0
        return os.pread(self._file, 1, position_bytes - 1) == b"\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _cut_torn_line(self) -> int:
        end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - _TAIL_BYTES)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        os.ftruncate(self._file, end)
        return end
