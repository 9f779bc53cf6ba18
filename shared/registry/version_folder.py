"""Creation of the folder of a new version on disk. The folder appears with all of its files or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from shared.service.errors import NeedsAttention

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def name_new_version(folder: Path) -> str:
    """Return the version that the last part of the path `folder` names.

    Raises NeedsAttention if that part is not a valid version or if the folder exists.
    """
    if not _VERSION.fullmatch(folder.name):
        raise NeedsAttention(f"{folder}: the last part names the version (letters, digits, . _ -)")
    if folder.exists():
        raise NeedsAttention(f"{folder} exists; a version is never changed, name a new one")
    return folder.name


def write_version_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the folder with all of its files; after an error or a crash there is no such folder.

    A crash can leave a hidden temporary folder beside it. Raises NeedsAttention if the folder cannot be
    written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as exc:
        raise NeedsAttention(f"{folder} cannot be written: {exc}") from exc
    try:
        staging.chmod(0o755)
        for name, body in files.items():
            _write_durably(staging / name, body)
        _sync(staging)
        staging.rename(folder)  # fails if a version of that name was written meanwhile
        _sync(folder.parent)
    except OSError as exc:
        raise NeedsAttention(f"{folder} cannot be written: {exc}") from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_durably(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
