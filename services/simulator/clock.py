"""The time since the fleet's anchor, by a clock that never jumps."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`anchor_us`: the wall clock's time of the anchor, microseconds since the epoch."""

    anchor_us: int = field(default_factory=lambda: time.time_ns() // 1_000)
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    _anchor_ns: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_anchor_ns", self.monotonic_ns())

    def elapsed_us(self) -> int:
        return (self.monotonic_ns() - self._anchor_ns) // 1_000


def instant(epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=epoch_us)


def epoch_us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
