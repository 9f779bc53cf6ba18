"""Uncommitted bytes: appends and blocks that are not yet part of a file.

An append or a block is received in a part (a staged file) and renamed when it is complete. Every file in
`appends/` and `blocks/` is therefore complete and survives a kill, as an acknowledged upload must.
"""

import errno
import hashlib
import os
import shutil
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.emulator.storage.model.entries import Block
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.store.disk import Disk

STALE_AFTER_S = 7 * 24 * 3600  # the service drops uncommitted data after a week
MAX_BLOCKS = 50_000
_COPIED_AT_ONCE = 1 << 30
_NOT_COPIED_BY_THE_KERNEL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Chunk:
    """One append: its position and size in the file, and the staged file `name` that holds it."""

    position: int
    size_bytes: int
    name: str

    @property
    def end(self) -> int:
        return self.position + self.size_bytes


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of bytes of a file on disk."""

    path: Path
    start: int
    size_bytes: int


class Staging:
    """Uncommitted appends by file id, and uncommitted blocks by path."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._chunks: dict[str, dict[int, Chunk]] = {}
        self._blocks: dict[str, dict[str, int]] = {}

    def open(self, file_ids: set[str]) -> None:
        """Load the uncommitted appends and blocks of the previous run.

        Data older than a week is deleted, and so are appends of files that are not in `file_ids`.
        """
        oldest_s = time.time() - STALE_AFTER_S
        for kind in ("appends", "blocks"):
            for folder in (self._disk.staging / kind).iterdir():
                if folder.stat().st_mtime < oldest_s or (kind == "appends" and folder.name not in file_ids):
                    shutil.rmtree(folder)
                elif kind == "appends":
                    self._chunks[folder.name] = _newest_chunks(folder)
                else:
                    sizes = {_block_id(file.name): file.stat().st_size for file in folder.iterdir()}
                    self._blocks[folder.name] = sizes

    def add_chunk(self, file_id: str, position: int, part: str, size_bytes: int) -> None:
        """Move a received part to the file's appends. It replaces an earlier append at the same position."""
        number = part.rpartition("/")[2]
        chunk = Chunk(position, size_bytes, f"appends/{file_id}/{position:019d}-{size_bytes}-{number}")
        chunks = self._chunks.setdefault(file_id, {})
        if position not in chunks and len(chunks) >= MAX_BLOCKS:
            raise Refused("InvalidInput", detail="too many uncommitted appends")
        self._disk.staged_path(f"appends/{file_id}").mkdir(exist_ok=True)
        self._disk.staged_path(part).replace(self._disk.staged_path(chunk.name))
        if (replaced := chunks.get(position)) is not None and replaced.name != chunk.name:
            self._disk.discard(self._disk.staged_path(replaced.name))
        chunks[position] = chunk

    def contiguous_chunks(self, file_id: str, start: int, end: int) -> list[Chunk]:
        """Return the appends that fill the file from `start` to `end`.

        Raises InvalidFlushPosition if the appends leave a gap or do not end at `end`.
        """
        contiguous, position = [], start
        chunks = self._chunks.get(file_id, {})
        while position < end and (chunk := chunks.get(position)) is not None and chunk.size_bytes:
            contiguous.append(chunk)
            position = chunk.end
        if position != end:
            raise Refused("InvalidFlushPosition")
        return contiguous

    def drop_chunks(self, file_id: str, *, before: int | None = None) -> None:
        """Discard the appends of a file: those that begin before position `before`, or all if it is None."""
        chunks = self._chunks.get(file_id, {})
        for position in [p for p in chunks if before is None or p < before]:
            self._disk.discard(self._disk.staged_path(chunks.pop(position).name))
        if not chunks and self._chunks.pop(file_id, None) is not None:
            self._disk.staged_path(f"appends/{file_id}").rmdir()

    def add_block(self, container: str, path: str, block_id: str, part: str, size_bytes: int) -> None:
        key = _blocks_key(container, path)
        blocks = self._blocks.setdefault(key, {})
        if block_id not in blocks and len(blocks) >= MAX_BLOCKS:
            raise Refused("InvalidInput", detail="too many uncommitted blocks")
        self._disk.staged_path(f"blocks/{key}").mkdir(exist_ok=True)
        self._disk.staged_path(part).replace(self.block_path(container, path, block_id))
        blocks[block_id] = size_bytes

    def blocks(self, container: str, path: str) -> list[Block]:
        sizes = self._blocks.get(_blocks_key(container, path), {})
        return [Block(block_id, size_bytes) for block_id, size_bytes in sorted(sizes.items())]

    def block_path(self, container: str, path: str, block_id: str) -> Path:
        return self._disk.staged_path(f"blocks/{_blocks_key(container, path)}/{_file_name(block_id)}")

    def drop_blocks(self, container: str, path: str) -> None:
        key = _blocks_key(container, path)
        if self._blocks.pop(key, None) is not None:
            self._disk.discard(self._disk.staged_path(f"blocks/{key}"))


def assemble(slices: Sequence[Slice], target: Path) -> None:
    """Concatenate the slices into a new file. Blocking."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for piece in slices:
            copy_slice(piece, out)
    finally:
        os.close(out)


def copy_slice(piece: Slice, out: int) -> None:
    """Copy a slice to the current position of the open file `out`. Blocking."""
    source = os.open(piece.path, os.O_RDONLY)
    try:
        position, left = piece.start, piece.size_bytes
        while left:
            copied = _copy(source, out, position, min(left, _COPIED_AT_ONCE))
            if not copied:
                raise OSError(errno.EIO, f"{piece.path} is shorter than was recorded")
            position, left = position + copied, left - copied
    finally:
        os.close(source)


def _copy(source: int, out: int, position: int, size_bytes: int) -> int:
    """Copy up to `size_bytes` and return the number of bytes copied.

    The kernel copies if it can, and then may share blocks between the files.
    """
    if sys.platform == "linux":
        try:
            return os.copy_file_range(source, out, size_bytes, position)
        except OSError as exc:
            if exc.errno not in _NOT_COPIED_BY_THE_KERNEL:
                raise
    return os.write(out, os.pread(source, min(size_bytes, 1 << 20), position))


def _newest_chunks(folder: Path) -> dict[int, Chunk]:
    """Return the appends in a folder by position.

    A kill may leave two appends at one position: the later one is kept, the other deleted.
    """
    chunks: dict[int, Chunk] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns):
        position, size_bytes, _ = file.name.split("-")
        chunk = Chunk(int(position), int(size_bytes), f"appends/{folder.name}/{file.name}")
        if (older := chunks.get(chunk.position)) is not None:
            folder.joinpath(older.name.rpartition("/")[2]).unlink()
        chunks[chunk.position] = chunk
    return chunks


def _blocks_key(container: str, path: str) -> str:
    return hashlib.sha256(f"{container}/{path}".encode()).hexdigest()[:40]


def _file_name(block_id: str) -> str:
    return urlsafe_b64encode(block_id.encode()).decode().rstrip("=")


def _block_id(file_name: str) -> str:
    return urlsafe_b64decode(file_name + "=" * (-len(file_name) % 4)).decode()
