"""A clock for the time since the fleet's start (the anchor) that never jumps."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """A monotonic clock that starts at `anchor_us`, wall-clock time in microseconds since the epoch."""

    anchor_us: int = field(default_factory=lambda: time.time_ns() // 1_000)
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    _anchor_ns: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_anchor_ns", self.monotonic_ns())

    def elapsed_us(self) -> int:
        return (self.monotonic_ns() - self._anchor_ns) // 1_000


def from_epoch_us(to_epoch_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=to_epoch_us)


def to_epoch_us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
