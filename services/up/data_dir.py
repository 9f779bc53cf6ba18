"""The stack's directory: one `up` at a time, of a version that this program reads, with the logs."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import NeedsAttention

VERSION = "1"


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Hold `directory` until left; the kernel lets go of it however the process ends.

    Raises NeedsAttention where another `up` has it, or where another version wrote it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NeedsAttention(
            f"{directory} cannot be used ({error.strerror}): choose another with --data"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeedsAttention(
                f"{directory} is in use by another fleetprice up: end it, or choose another with --data"
            ) from None
        _check_version(directory / "version")
        yield
    finally:
        os.close(lock)


def log_path(directory: Path, service: str) -> Path:
    return directory / "logs" / f"{service}.log"


def start_logs(directory: Path, services: Iterable[str]) -> None:
    """Begin every service's log anew; the run before keeps its own as `<service>.log.1`."""
    for service in services:
        path = log_path(directory, service)
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.1"))
        path.touch()


def _check_version(path: Path) -> None:
    if not path.exists():
        path.write_text(f"{VERSION}\n")
    elif (found := path.read_text().strip()) != VERSION:
        raise NeedsAttention(
            f"{path.parent} was written by version {found} of the format, this program reads {VERSION}: "
            "choose another with --data"
        )
