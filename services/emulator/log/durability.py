"""The point at which an appended event counts as committed."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from services.emulator.log.partition_log import PartitionLog

OnCommit = Callable[[OSError | None], None]


class Durability(StrEnum):
    """What committed events survive.

    WRITE: the end of the process, but not a power cut. INTERVAL: also a power cut, except for the events of
    the last interval. BATCH: also a power cut, without exception.
    """

    WRITE = "write"
    INTERVAL = "interval"
    BATCH = "batch"


class GroupCommit:
    """A caller of commit callbacks.

    With Durability.BATCH, one fdatasync of a log commits all appends that preceded it.
    """

    def __init__(self, durability: Durability) -> None:
        self._durability = durability
        self._waiting: dict[PartitionLog, list[OnCommit]] = {}

    def call_when_committed(self, log: PartitionLog, on_commit: OnCommit) -> None:
        """Call `on_commit` once all appends so far to `log` are committed.

        The argument is None, or the error that prevents the commit.
        """
        if self._durability is not Durability.BATCH:
            on_commit(None)
        elif log in self._waiting:
            # The fdatasync under way may have begun before this append, so the next one commits it.
            self._waiting[log].append(on_commit)
        else:
            self._waiting[log] = []
            self._sync(log, [on_commit])

    def _sync(self, log: PartitionLog, callbacks: list[OnCommit]) -> None:
        def finish(future: asyncio.Future[None]) -> None:
            failure = future.exception()
            if failure is not None and not isinstance(failure, OSError):
                raise failure
            following = self._waiting.pop(log)
            if following:
                self._waiting[log] = []
                self._sync(log, following)
            for on_commit in callbacks:
                on_commit(failure)

        asyncio.get_running_loop().run_in_executor(None, log.sync).add_done_callback(finish)
