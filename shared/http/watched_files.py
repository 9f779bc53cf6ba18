"""Files, such as keys and certificates, that may be renewed while the process runs."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.service.errors import SettingsError
from shared.service.logs import log

_Signature = tuple[tuple[int, ...] | None, ...]


async def apply_changes(paths: Sequence[Path], apply: Callable[[], None], interval_s: float) -> None:
    """Check the files every `interval_s` seconds, for ever, and call `apply` after each change.

    If `apply` raises SettingsError, the error is logged and what was applied before stays in use. The files
    are polled because Kubernetes replaces a link above the file, which a watch of the file itself would not
    notice.
    """
    seen = _signature(paths)
    while True:
        await asyncio.sleep(interval_s)
        now = _signature(paths)
        if now == seen:
            continue
        seen = now  # before the files are read: what is written meanwhile is another change
        try:
            apply()
        except SettingsError as error:
            log.error("files_not_reloaded", files=[str(path) for path in paths], reason=str(error))
        else:
            log.info("files_reloaded", files=[str(path) for path in paths])


def _signature(paths: Sequence[Path]) -> _Signature:
    return tuple(_stat(path) for path in paths)


def _stat(path: Path) -> tuple[int, ...] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 - follows links, as reading will
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
