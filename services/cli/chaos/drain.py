"""The drain: how far every reader has come, and that it goes on for as long as any of them gets anywhere."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from azure.core.exceptions import AzureError

from services.cli.chaos.lake_files import landed_through
from services.cli.chaos.stack import PREDICTIONS, TELEMETRY, UNREACHABLE, World

_LOOK_S = 0.2
Marks = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Reader:
    """How far one kind of reader has come in a hub, and how far the hub goes, by partition."""

    done: str
    hub: str
    marks: Marks
    ends: Marks

    def behind(self) -> Iterator[str]:
        """The partitions whose end it has not reached, in words."""
        for partition, end in sorted(self.ends.items()):
            mark = self.marks.get(partition, -1)
            if mark < end:
                yield f"{self.hub} p{partition:02d} {self.done} through event {mark} of {end}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where all readers are at one time."""

    readers: tuple[Reader, ...]

    def behind(self) -> tuple[str, ...]:
        """Who has something left to do; nobody: the run is drained."""
        return tuple(line for reader in self.readers for line in reader.behind())


class Stall:
    """Notices that nothing moves any more."""

    def __init__(self, limit_s: float, now_s: float) -> None:
        self._limit_s = limit_s
        self._moved_at_s = now_s
        self._last: Standing | None = None

    def see(self, standing: Standing | None, now_s: float) -> bool:
        """Whether nothing has moved for the limit; None: nobody could tell."""
        if standing is not None and standing != self._last:
            self._last, self._moved_at_s = standing, now_s
        return now_s - self._moved_at_s >= self._limit_s

    @property
    def behind(self) -> tuple[str, ...]:
        """Who stands still."""
        return ("the emulator does not answer",) if self._last is None else self._last.behind()


async def drained(world: World, stall_limit_s: float) -> tuple[str, ...]:
    """Returns who is stuck, once everything has landed and is priced (nobody), or nothing moves any more."""
    stall = Stall(stall_limit_s, time.monotonic())
    while True:
        standing = await _standing(world)
        if standing is not None and not standing.behind():
            return ()
        if stall.see(standing, time.monotonic()):
            return stall.behind
        await asyncio.sleep(_LOOK_S)


async def _standing(world: World) -> Standing | None:
    """None while the emulator is away."""
    with suppress(*UNREACHABLE, AzureError):
        telemetry = await world.ends(TELEMETRY)
        priced = Reader("is priced", TELEMETRY, await world.scored_through(), telemetry)
        landed = Reader("has landed", TELEMETRY, landed_through(world.data, TELEMETRY), telemetry)
        # The predictions hub is asked last: until all is priced it grows.
        predictions = await world.ends(PREDICTIONS)
        prices = Reader("has landed", PREDICTIONS, landed_through(world.data, PREDICTIONS), predictions)
        return Standing((landed, priced, prices))
    return None
