"""Deletion of discarded files in the background, because to free thousands takes longer than a request."""

import asyncio

from services.emulator.storage.store.disk import Disk, delete
from services.emulator.storage.store.threads import run_in_thread
from shared.service.log_events import EventLog

log = EventLog(__name__)


class Sweeper:
    """Background deletion of trash, one run at a time.

    Trash that a kill leaves is deleted at the next start.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._sweep: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Start a deletion if there is trash and no deletion is running."""
        if self._disk.has_trash and (self._sweep is None or self._sweep.done()):
            self._sweep = asyncio.create_task(self._delete())

    async def finish(self) -> None:
        if self._sweep is not None:
            await self._sweep

    async def _delete(self) -> None:
        while trash := self._disk.pop_trash():
            try:
                await run_in_thread(delete, trash)
            except OSError as exc:
                log.warning("trash_not_deleted", reason=str(exc))
