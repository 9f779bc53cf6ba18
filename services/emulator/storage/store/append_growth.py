"""Growth of files in place, so that a flush or an appended block costs its own size, not the file's.

The bytes are first written behind the file's end; then a record makes them part of the file. Readers get
only the recorded size, and the bytes below it never change. A read therefore stays consistent with the
etag with which it began. A marker in the staging folder holds the recorded end: after a kill, the next
start truncates the file to this end.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from services.emulator.storage.model.entries import Entry
from services.emulator.storage.store.disk import Disk
from services.emulator.storage.store.staging import Slice, copy_slice
from services.emulator.storage.store.threads import run_in_thread
from shared.service import failpoints

_INLINE_BYTES = 256 * 1024  # a copy up to this size costs the event loop less than a thread does


class AppendGrowth:
    """Growth of files in place, by one writer per file at a time."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, file_id: str) -> asyncio.Lock:
        """Return the lock that a writer must hold while it writes behind the end of this file."""
        return self._locks.setdefault(file_id, asyncio.Lock())

    @asynccontextmanager
    async def extend(self, path: Path, entry: Entry, pieces: list[Slice]) -> AsyncIterator[None]:
        """Write the pieces behind the file's end, then run the `with` block, which must commit the new size.

        If the block raises, the file is truncated to its old size. The caller must hold the file's lock.
        """
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        marker = self._disk.staged_path(f"growing/{entry.file_id}-{entry.size_bytes}")
        try:
            _check_end(fd, entry, path)
            self._disk.create_marker(marker)
            try:
                await self._write(fd, entry.size_bytes, pieces)
                failpoints.reach("storage_grown")
                yield
            except BaseException:
                os.ftruncate(fd, entry.size_bytes)
                raise
            finally:
                marker.unlink()
        finally:
            os.close(fd)

    def truncate_tails(self, files: Iterable[tuple[Path, Entry]]) -> None:
        """Truncate files in which a kill left bytes behind the recorded end."""
        ends = dict(marker.name.split("-") for marker in self._disk.staged_path("growing").iterdir())
        for path, entry in files if ends else ():
            is_tail = ends.get(entry.file_id) == str(entry.size_bytes)
            if is_tail and path.is_file() and path.stat().st_size > entry.size_bytes:
                os.truncate(path, entry.size_bytes)
        for marker in self._disk.staged_path("growing").iterdir():
            marker.unlink()

    async def _write(self, fd: int, end: int, pieces: list[Slice]) -> None:
        if self._disk.fsync or sum(piece.size_bytes for piece in pieces) > _INLINE_BYTES:
            await run_in_thread(_write_behind, fd, end, pieces, self._disk.fsync)
        else:
            _write_behind(fd, end, pieces, sync=False)


def _write_behind(fd: int, end: int, pieces: list[Slice], sync: bool) -> None:
    os.lseek(fd, end, os.SEEK_SET)
    for piece in pieces:
        copy_slice(piece, fd)
    if sync:
        os.fsync(fd)


def _check_end(fd: int, entry: Entry, path: Path) -> None:
    if os.fstat(fd).st_size != entry.size_bytes:
        raise OSError(errno.EIO, f"{path} was changed by hand; the next start takes it as it is")
