"""The emulator's directory: one process at a time, and of a version that this program can read."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import NeedsAttention

VERSION = "1"


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Hold `directory` for this process; the kernel lets go of it however the process ends.

    Raises NeedsAttention where another process has it, or where its version is another one.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "emulator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise NeedsAttention(
            f"{directory} cannot be used: {exc.strerror}; choose another with --data"
        ) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeedsAttention(
                f"{directory} is in use by another emulator: end it, or choose another directory with --data"
            ) from None
        _check_version(directory / "emulator.version")
        yield
    finally:
        os.close(lock)


def _check_version(path: Path) -> None:
    if not path.exists():
        path.write_text(VERSION)
    elif (found := path.read_text().strip()) != VERSION:
        raise NeedsAttention(
            f"{path.parent} was written in version {found} of the format, this program reads {VERSION}: "
            "choose another directory with --data"
        )
