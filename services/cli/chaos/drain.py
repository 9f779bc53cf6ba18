"""The drain: wait for the readers to catch up, as long as any reader makes progress."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from azure.core.exceptions import AzureError

from services.cli.chaos.lake_files import landed_through
from services.cli.chaos.stack import PREDICTIONS, TELEMETRY, UNREACHABLE, Stack

_LOOK_S = 0.2
Marks = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of reader of one hub: its position and the hub's end, both by partition."""

    done: str
    hub: str
    marks: Marks
    ends: Marks

    def behind(self) -> Iterator[str]:
        """Yield a description of each partition in which this reader has not reached the end."""
        for partition, end in sorted(self.ends.items()):
            mark = self.marks.get(partition, -1)
            if mark < end:
                yield f"{self.hub} p{partition:02d} {self.done} through event {mark} of {end}"


@dataclass(frozen=True, slots=True)
class Progress:
    """The positions of all readers at one time."""

    readers: tuple[Reader, ...]

    def behind(self) -> tuple[str, ...]:
        """Return a description of each partition in which a reader is behind; empty if the run is drained."""
        return tuple(line for reader in self.readers for line in reader.behind())


class Stall:
    """A detector that tells when no reader has made progress for a given time."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        self._limit_s = limit_s
        self._moved_at_s = now_s
        self._last: Progress | None = None

    def is_stalled(self, progress: Progress | None, now_s: float) -> bool:
        """Record the progress, and return whether it has not changed for the time limit.

        `progress` is None if it is unknown, because the emulator does not answer.
        """
        if progress is not None and progress != self._last:
            self._last, self._moved_at_s = progress, now_s
        return now_s - self._moved_at_s >= self._limit_s

    @property
    def behind(self) -> tuple[str, ...]:
        """The partitions in which a reader was behind at the last known progress, in words."""
        return ("the emulator does not answer",) if self._last is None else self._last.behind()


async def drain(stack: Stack, stall_limit_s: float) -> tuple[str, ...]:
    """Wait until all events have landed and are priced, or until no reader makes progress for the limit.

    Return a description of each partition in which a reader is stuck; empty if the run is drained.
    """
    stall = Stall(stall_limit_s, time.monotonic())
    while True:
        progress = await _read_progress(stack)
        if progress is not None and not progress.behind():
            return ()
        if stall.is_stalled(progress, time.monotonic()):
            return stall.behind
        await asyncio.sleep(_LOOK_S)


async def _read_progress(stack: Stack) -> Progress | None:
    """Return the positions of all readers, or None if the emulator does not answer."""
    with suppress(*UNREACHABLE, AzureError):
        telemetry = await stack.ends(TELEMETRY)
        priced = Reader("is priced", TELEMETRY, await stack.scored_through(), telemetry)
        landed = Reader("has landed", TELEMETRY, landed_through(stack.data, TELEMETRY), telemetry)
        # The predictions hub is read last: until all is priced it grows.
        predictions = await stack.ends(PREDICTIONS)
        prices = Reader("has landed", PREDICTIONS, landed_through(stack.data, PREDICTIONS), predictions)
        return Progress((landed, priced, prices))
    return None
