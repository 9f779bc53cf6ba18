"""The drain: it goes on while any reader makes progress."""

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
    """The position of one kind of reader in a hub, and the hub's end, by partition."""

    done: str
    hub: str
    marks: Marks
    ends: Marks

    def behind(self) -> Iterator[str]:
        """Yield the partitions whose end it has not reached, in words."""
        for partition, end in sorted(self.ends.items()):
            mark = self.marks.get(partition, -1)
            if mark < end:
                yield f"{self.hub} p{partition:02d} {self.done} through event {mark} of {end}"


@dataclass(frozen=True, slots=True)
class Progress:
    """The positions of all readers at one time."""

    readers: tuple[Reader, ...]

    def behind(self) -> tuple[str, ...]:
        """Return the readers with something left to do; none if the run is drained."""
        return tuple(line for reader in self.readers for line in reader.behind())


class Stall:
    """Detects that no reader makes progress any more."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        self._limit_s = limit_s
        self._moved_at_s = now_s
        self._last: Progress | None = None

    def is_stalled(self, progress: Progress | None, now_s: float) -> bool:
        """Record the progress (None: unknown). Return whether there was none for the limit."""
        if progress is not None and progress != self._last:
            self._last, self._moved_at_s = progress, now_s
        return now_s - self._moved_at_s >= self._limit_s

    @property
    def behind(self) -> tuple[str, ...]:
        """The readers that were behind at the last progress."""
        return ("the emulator does not answer",) if self._last is None else self._last.behind()


async def drain(stack: Stack, stall_limit_s: float) -> tuple[str, ...]:
    """Wait until all has landed and is priced, or nothing moves. Return the readers that are stuck."""
    stall = Stall(stall_limit_s, time.monotonic())
    while True:
        progress = await _read_progress(stack)
        if progress is not None and not progress.behind():
            return ()
        if stall.is_stalled(progress, time.monotonic()):
            return stall.behind
        await asyncio.sleep(_LOOK_S)


async def _read_progress(stack: Stack) -> Progress | None:
    """Return None while the emulator does not answer."""
    with suppress(*UNREACHABLE, AzureError):
        telemetry = await stack.ends(TELEMETRY)
        priced = Reader("is priced", TELEMETRY, await stack.scored_through(), telemetry)
        landed = Reader("has landed", TELEMETRY, landed_through(stack.data, TELEMETRY), telemetry)
        # The predictions hub is read last: until all is priced it grows.
        predictions = await stack.ends(PREDICTIONS)
        prices = Reader("has landed", PREDICTIONS, landed_through(stack.data, PREDICTIONS), predictions)
        return Progress((landed, priced, prices))
    return None
