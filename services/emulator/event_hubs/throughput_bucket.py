"""Throughput units: the bytes and events per second that a namespace may carry before it is throttled.

One unit is 1 MB or 1,000 events per second in, and 2 MB or 4,096 events per second out, whichever is reached
first, for the whole namespace. As in the real service, a sender above the limit is refused and must retry,
while a reader is delayed.
"""

import time
from collections.abc import Callable

# A terabyte per second; a namespace of Azure has 40.
MAX_UNITS = 1_000_000
_MB = 1024 * 1024
INGRESS_BYTES, INGRESS_EVENTS = _MB, 1000
EGRESS_BYTES, EGRESS_EVENTS = 2 * _MB, 4096
# Each read is at most a tenth of a second's worth, so that readers share the limit.
_PORTIONS_PER_S = 10
# A read of the log needs at least the room of a record's header.
_MIN_PORTION_BYTES = 4096
_MIN_WAIT_S = 0.001


class Bucket:
    """A token bucket that fills at `rate` per second and holds one second's worth.

    One batch may drive the bucket below zero, because otherwise a batch larger than the bucket would never
    pass. So at most rate x (t + 1) plus one batch pass in t seconds.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._level = rate
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long until the next `consume` is allowed, in seconds."""
        level = self._level_at(now_s)
        return 0.0 if level > 0 else max(-level / self._rate, _MIN_WAIT_S)

    def consume(self, amount: float, now_s: float) -> None:
        self._level = self._level_at(now_s) - amount
        self._at_s = now_s

    def _level_at(self, now_s: float) -> float:
        return min(self._rate, self._level + (now_s - self._at_s) * self._rate)


class ThroughputBucket:
    """The buckets of bytes and of events in one direction; whichever is emptier decides."""

    def __init__(self, bytes_per_s: float, events_per_s: float, now_s: float) -> None:
        self._bytes = Bucket(bytes_per_s, now_s)
        self._events = Bucket(events_per_s, now_s)
        self.portion_bytes = max(_MIN_PORTION_BYTES, int(bytes_per_s / _PORTIONS_PER_S))
        self.portion_events = max(1, int(events_per_s / _PORTIONS_PER_S))

    def wait_s(self, now_s: float) -> float:
        return max(self._bytes.wait_s(now_s), self._events.wait_s(now_s))

    def consume(self, size_bytes: int, events: int, now_s: float) -> None:
        self._bytes.consume(size_bytes, now_s)
        self._events.consume(events, now_s)


class Throughput:
    """The limits of a namespace in both directions; `ingress` and `egress` are None without a limit."""

    def __init__(self, units: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.refused_sends = 0
        self.set_units(units)

    @property
    def units(self) -> float | None:
        return self._units

    def set_units(self, units: float | None) -> None:
        """Set the limit from now on, starting with full buckets; None removes the limit.

        Raises ValueError if the number of units is invalid.
        """
        if units is not None and not 0 < units <= MAX_UNITS:
            raise ValueError(f"throughput units are above 0 and at most {MAX_UNITS:,}, or null for no limit")
        self._units = units
        self.ingress = self.egress = None
        if units is not None:
            now_s = self._clock()
            self.ingress = ThroughputBucket(INGRESS_BYTES * units, INGRESS_EVENTS * units, now_s)
            self.egress = ThroughputBucket(EGRESS_BYTES * units, EGRESS_EVENTS * units, now_s)

    def try_admit(self, size_bytes: int, events: int) -> bool:
        """Consume a send if the limit allows it; otherwise count it as refused and return False."""
        if self.ingress is None:
            return True
        now_s = self._clock()
        if self.ingress.wait_s(now_s) > 0:
            self.refused_sends += 1
            return False
        self.ingress.consume(size_bytes, events, now_s)
        return True

    def egress_wait_s(self) -> float:
        """Return how long readers must wait before the next portion of events, in seconds."""
        return 0.0 if self.egress is None else self.egress.wait_s(self._clock())

    def count_egress(self, size_bytes: int, events: int) -> None:
        if self.egress is not None:
            self.egress.consume(size_bytes, events, self._clock())
