"""The lock of a data directory: one process per kind of holder, and only if it can read the format."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.service.atomic_file import replace_file
from shared.service.errors import NeedsAttention

VERSION = "1"
_OWNER_ONLY = 0o077


@contextmanager
def lock_data_dir(directory: Path, holder: str) -> Iterator[None]:
    """Lock `directory` for `holder` (`<holder>.lock`) while the context is open.

    Only its owner may enter a directory that this creates. While the context is open, the files that this
    process and its children create are for their owner alone: they hold readings, logs and keys.

    The kernel releases the lock however the process ends. Raises NeedsAttention if the directory cannot be
    used, if another process has locked it for the same `holder`, or if the version in `<holder>.version` is
    not VERSION.
    """
    umask = os.umask(_OWNER_ONLY)
    try:
        with _lock(directory, holder):
            _check_version(directory / f"{holder}.version")
            yield
    finally:
        os.umask(umask)


@contextmanager
def _lock(directory: Path, holder: str) -> Iterator[None]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / f"{holder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NeedsAttention(
            f"{directory} cannot be used ({error.strerror}): choose another with --data"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeedsAttention(
                f"{directory} is in use by another fleetprice {holder}: end it, or choose another with --data"
            ) from None
        yield
    finally:
        os.close(lock)


def _check_version(path: Path) -> None:
    # Earlier releases could leave an empty file if the disk was full at the first start.
    found = path.read_text().strip() if path.exists() else ""
    if not found:
        try:
            replace_file(path, f"{VERSION}\n".encode(), is_durable=True)
        except OSError as error:
            raise NeedsAttention(f"{path} cannot be written: {error.strerror}") from error
    elif found != VERSION:
        raise NeedsAttention(
            f"{path.parent} was written in version {found} of the format, this program reads {VERSION}: "
            "choose another with --data"
        )
