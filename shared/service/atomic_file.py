"""Files that are replaced as a whole: a reader, or the next start, finds the old content or the new."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o666, is_durable: bool = False) -> None:
    """Replace `path` by a file with `content`; the process's umask limits its `mode`.

    If the process dies, `path` has its old content or `content`, never a part of it. If `is_durable`, that
    also holds after a power cut, and the new content is on the disk once this returns. Raises OSError if the
    file cannot be written; `path` is then unchanged.
    """
    staged = path.with_name(f"{path.name}.{os.getpid()}-new")
    staged.unlink(missing_ok=True)  # of an earlier process with the same id
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    if is_durable:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable: which files exist in it, and under which names."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
