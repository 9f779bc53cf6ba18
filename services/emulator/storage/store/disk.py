"""The tree of files that any tool can read, and beside it the folders in which writes are prepared.

    storage/<account>/<container>/<path>   committed files, each under its own name
    storage/.meta/journal                  entries of paths and containers
    storage/.staging/parts/<n>             bodies being received and files being assembled
    storage/.staging/appends/<file id>/    uncommitted appends, one file each
    storage/.staging/blocks/<path hash>/   uncommitted blocks, one file each
    storage/.staging/growing/<id>-<size>   markers of files being written behind their recorded end
    storage/.staging/trash/<n>             directories and large files to be deleted

All folders are on one file system, so that one atomic rename moves a finished file to its path.
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
    """The files of one account, to which records are applied. With `fsync` each change is synced."""

    def __init__(self, root: Path, account: str, *, fsync: bool) -> None:
        self.tree = root / account
        self.meta = root / ".meta"
        self.staging = root / ".staging"
        self.fsync = fsync
        self._numbers = count(1)
        self._lock_fd = -1
        self._trash: list[Path] = []

    def open(self) -> None:
        """Create the folders and lock them, because two servers over one tree would corrupt it.

        Raises NeedsAttention if another process holds the lock.
        """
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
        """Delete the unfinished parts and the trash of the previous run.

        Call this only after the last record was applied, since that record may need a part.
        """
        for name in ("parts", "trash"):
            shutil.rmtree(self.staging / name)
            (self.staging / name).mkdir()

    def locate(self, container: str, path: str) -> Path:
        return self.tree / container / path if path else self.tree / container

    def find_link(self, container: str, path: str) -> Path | None:
        """Return the link in the tree through which the path leads, or None.

        A link leads out of the tree, so it is never followed; only a person can have put it there.
        """
        step = self.tree
        for name in (container, *filter(None, path.split("/"))):
            step /= name
            if step.is_symlink():
                return step
        return None

    @contextmanager
    def new_part(self) -> Iterator[str]:
        """Yield the name of a new staged file.

        At the end the file is deleted, unless it was moved into the tree.
        """
        name = f"parts/{next(self._numbers)}"
        try:
            yield name
        finally:
            self.staged_path(name).unlink(missing_ok=True)

    def staged_path(self, name: str) -> Path:
        return self.staging / name

    def apply(self, record: Record) -> None:
        """Apply a record to the tree. A record that was applied already changes nothing."""
        match record:
            case ContainerSet(container, _):
                self.locate(container, "").mkdir(exist_ok=True)
            case ContainerRemoved(container):
                self.discard(self.locate(container, ""))
            case PathSet(container, path, entry, staged):
                target = self.locate(container, path)
                if entry.is_directory:
                    target.mkdir(exist_ok=True)
                    self._sync(target.parent)
                elif staged:
                    self._place(self.staged_path(staged), target)
            case PathRemoved(container, path):
                self.discard(self.locate(container, path))
            case PathRenamed(source_container, source, container, path):
                self._place(self.locate(source_container, source), self.locate(container, path))

    def _place(self, source: Path, target: Path) -> None:
        if not source.exists():
            return  # the change was applied before the process was killed
        if target.is_file() and target.stat().st_size > _LARGE_BYTES:
            self._trash.append(self._trash_name())
            os.link(target, self._trash[-1])  # so that the replacement does not free it on the event loop
        source.replace(target)
        self._sync(target.parent, source.parent)

    def create_marker(self, marker: Path) -> None:
        """Create an empty file. With `fsync`, the file is durable before the change that it announces."""
        marker.touch()
        self._sync(marker.parent)

    def discard(self, path: Path) -> None:
        """Remove a path from the tree now.

        Directories and large files go to the trash, to be deleted later.
        """
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
        """Return the trash since the last call, which the caller deletes in a thread with `delete`."""
        trash, self._trash = self._trash, []
        return trash

    def _trash_name(self) -> Path:
        return self.staged_path(f"trash/{next(self._numbers)}")

    def _sync(self, *folders: Path) -> None:
        for folder in folders if self.fsync else ():
            sync(folder)


def delete(trash: list[Path]) -> None:
    """Delete files and directories. Blocking."""
    for path in trash:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def scan(folder: Path, base: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file and directory below a folder, each directory before its children.

    Skip symbolic links.
    """
    with os.scandir(folder) as items:
        children = sorted(items, key=lambda child: child.name)
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
_LARGE_BYTES = 4 * 1024 * 1024  # freeing more than this would block the event loop for too long
