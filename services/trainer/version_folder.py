"""A model version on disk: all of its files or none, and never over another."""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from shared.service.errors import NeedsAttention

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def version_of(folder: Path) -> str:
    """The folder's name; raises NeedsAttention where it can name no new version."""
    if not _VERSION.fullmatch(folder.name):
        raise NeedsAttention(f"--out {folder}: the last part names the version (letters, digits, . _ -)")
    if folder.exists():
        raise NeedsAttention(f"--out {folder} exists; a version is never changed, name a new one")
    return folder.name


def write_version(folder: Path, files: dict[str, bytes]) -> None:
    """Whoever lists the parent sees the version complete or not at all, a crash here included."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as exc:
        raise NeedsAttention(f"--out {folder} cannot be written: {exc}") from exc
    try:
        staging.chmod(0o755)
        for name, body in files.items():
            _write_durably(staging / name, body)
        _sync(staging)
        staging.rename(folder)  # refuses where a version of that name has come up meanwhile
        _sync(folder.parent)
    except OSError as exc:
        raise NeedsAttention(f"--out {folder} cannot be written: {exc}") from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


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
