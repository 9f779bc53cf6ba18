"""When an accepted event counts as kept, and who waits for that."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from services.emulator.log.partition_log import PartitionLog

OnCommit = Callable[[OSError | None], None]


class Durability(StrEnum):
    """WRITE survives the process, INTERVAL a power cut but for its last moments, BATCH all of it."""

    WRITE = "write"
    INTERVAL = "interval"
    BATCH = "batch"


class GroupCommit:
    """With Durability.BATCH, one fdatasync at a time for each log, for all that was appended before it."""

    def __init__(self, durability: Durability) -> None:
        self._durability = durability
        self._waiting: dict[PartitionLog, list[OnCommit]] = {}

    def call_when_committed(self, log: PartitionLog, kept: OnCommit) -> None:
        """Call `kept` once what was appended counts as kept; with None, or the error that prevents it."""
        if self._durability is not Durability.BATCH:
            kept(None)
        elif log in self._waiting:
            # One fdatasync is on its way and may be too early for this append: the next is for all since.
            self._waiting[log].append(kept)
        else:
            self._waiting[log] = []
            self._sync(log, [kept])

    def _sync(self, log: PartitionLog, now_kept: list[OnCommit]) -> None:
        def synced(future: asyncio.Future[None]) -> None:
            failure = future.exception()
            if failure is not None and not isinstance(failure, OSError):
                raise failure
            following = self._waiting.pop(log)
            if following:
                self._waiting[log] = []
                self._sync(log, following)
            for kept in now_kept:
                kept(failure)

        asyncio.get_running_loop().run_in_executor(None, log.sync).add_done_callback(synced)
