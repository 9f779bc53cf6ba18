"""The tree of files as any tool sees it, and the places beside it where writes are prepared.

    storage/<account>/<container>/<path>   committed files, each under its own name
    storage/.meta/journal                  what is known beside the bytes
    storage/.staging/parts/<n>             bodies being received and files being put together
    storage/.staging/appends/<file id>/    uncommitted appends, one file each
    storage/.staging/blocks/<path hash>/   uncommitted blocks, one file each
    storage/.staging/growing/<id>-<size>   a file that is being written behind its recorded end
    storage/.staging/trash/<n>             directories and large files on their way out

All of it lies on one file system, so that a finished file takes its place by one atomic rename.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from services.emulator.storage.model.records import (
    ContainerRemoved,
    ContainerSet,
    PathRemoved,
    PathRenamed,
    PathSet,
    Record,
)
from shared.service.errors import NeedsAttention


class Disk:
    def __init__(self, root: Path, account: str, *, fsync: bool) -> None:
        self.tree = root / account
        self.meta = root / ".meta"
        self.staging = root / ".staging"
        self.fsync = fsync
        self._numbers = count(1)
        self._lock_fd = -1
        self._trash: list[Path] = []

    def open(self) -> None:
        """Make the folders and lock them: two servers over one tree would each believe their own memory."""
        for folder in (self.tree, self.meta, *(self.staging / name for name in _STAGING_FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(self.meta / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(self._lock_fd)
            raise NeedsAttention(f"{self.tree.parent} is in use by another storage emulator") from exc

    def close(self) -> None:
        os.close(self._lock_fd)

    def clear_parts(self) -> None:
        """Forget what an earlier life left half done; call only after the last record was completed."""
        for name in ("parts", "trash"):
            shutil.rmtree(self.staging / name)
            (self.staging / name).mkdir()

    def path_of(self, container: str, path: str) -> Path:
        return self.tree / container / path if path else self.tree / container

    @contextmanager
    def new_part(self) -> Iterator[str]:
        """The name, below the staging folder, of a file nobody else writes; gone at the end unless it took
        its place in the tree.
        """
        name = f"parts/{next(self._numbers)}"
        try:
            yield name
        finally:
            self.staged_path(name).unlink(missing_ok=True)

    def staged_path(self, name: str) -> Path:
        return self.staging / name

    def apply(self, record: Record) -> None:
        """Make the change on disk; doing it twice does no harm."""
        match record:
            case ContainerSet(container, _):
                self.path_of(container, "").mkdir(exist_ok=True)
            case ContainerRemoved(container):
                self.discard(self.path_of(container, ""))
            case PathSet(container, path, entry, staged):
                target = self.path_of(container, path)
                if entry.is_directory:
                    target.mkdir(exist_ok=True)
                    self._sync(target.parent)
                elif staged:
                    self._place(self.staged_path(staged), target)
            case PathRemoved(container, path):
                self.discard(self.path_of(container, path))
            case PathRenamed(source_container, source, container, path):
                self._place(self.path_of(source_container, source), self.path_of(container, path))

    def _place(self, source: Path, target: Path) -> None:
        if not source.exists():
            return  # the change was made before the process was killed
        if target.is_file() and target.stat().st_size > _LARGE_BYTES:
            self._trash.append(self._trash_name())
            os.link(target, self._trash[-1])  # so that replacing it does not free it here and now
        source.replace(target)
        self._sync(target.parent, source.parent)

    def create_marker(self, marker: Path) -> None:
        """An empty file that is there before anything is done that it speaks of."""
        marker.touch()
        self._sync(marker.parent)

    def discard(self, path: Path) -> None:
        """Take a path out of its place at once; what takes time is left to `take_trash`."""
        if path.is_dir() or (path.is_file() and path.stat().st_size > _LARGE_BYTES):
            self._trash.append(self._trash_name())
            path.replace(self._trash[-1])
        else:
            path.unlink(missing_ok=True)
        self._sync(path.parent)

    @property
    def has_trash(self) -> bool:
        return bool(self._trash)

    def pop_trash(self) -> list[Path]:
        """What was discarded since and is still to be deleted with `delete`, off the event loop."""
        trash, self._trash = self._trash, []
        return trash

    def _trash_name(self) -> Path:
        return self.staged_path(f"trash/{next(self._numbers)}")

    def _sync(self, *folders: Path) -> None:
        for folder in folders if self.fsync else ():
            sync(folder)


def delete(trash: list[Path]) -> None:
    """Blocking, for a thread."""
    for path in trash:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def scan(folder: Path, base: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and directory below a folder, directories first; links are not followed nor reported."""
    with os.scandir(folder) as found:
        children = sorted(found, key=lambda child: child.name)
    for child in children:
        path = f"{base}{child.name}"
        if child.is_dir(follow_symlinks=False):
            yield path, child
            yield from scan(Path(child.path), path + "/")
        elif child.is_file(follow_symlinks=False):
            yield path, child


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_STAGING_FOLDERS = ("parts", "appends", "blocks", "growing", "trash")
_LARGE_BYTES = 4 * 1024 * 1024  # to free more than this takes longer than the event loop should stand still
