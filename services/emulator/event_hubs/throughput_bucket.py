"""Throughput units: what a namespace takes in and gives out in a second before it is throttled.

One unit is 1 MB or 1,000 events a second in and 2 MB or 4,096 events out, whichever is reached first, for the
namespace as a whole. Like the service, a sender beyond that is refused and has to come again, while a reader
is only held back.
"""

import time
from collections.abc import Callable

_MB = 1024 * 1024
INGRESS_BYTES, INGRESS_EVENTS = _MB, 1000
EGRESS_BYTES, EGRESS_EVENTS = 2 * _MB, 4096
# Readers send a tenth of a second's worth at a time, so that they share what there is.
_PORTIONS_PER_S = 10
# A read of the log needs room for a record's header at least.
_MIN_PORTION_BYTES = 4096
_MIN_WAIT_S = 0.001


class Bucket:
    """Fills at `rate` a second and holds a second's worth. What is taken may drive it below zero, once:

    a batch can be larger than the bucket, and would never pass otherwise. So within t seconds no more leaves
    than rate x (t + 1) and one batch.
    """

    def __init__(self, rate: float, now_s: float) -> None:
        self._rate = rate
        self._level = rate
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """How long until something may be taken; 0 where it may at once."""
        level = self._level_at(now_s)
        return 0.0 if level > 0 else max(-level / self._rate, _MIN_WAIT_S)

    def consume(self, amount: float, now_s: float) -> None:
        self._level = self._level_at(now_s) - amount
        self._at_s = now_s

    def _level_at(self, now_s: float) -> float:
        return min(self._rate, self._level + (now_s - self._at_s) * self._rate)


class ThroughputBucket:
    """Bytes and events of one direction; the scarcer of them decides."""

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
    """A namespace's; `ingress` and `egress` are None while nothing is limited: asking costs nothing then."""

    def __init__(self, units: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.refused_sends = 0
        self.set_units(units)

    @property
    def units(self) -> float | None:
        return self._units

    def set_units(self, units: float | None) -> None:
        """From now on, with full buckets. A fraction is allowed; None limits nothing. Raises ValueError."""
        if units is not None and not 0 < units < float("inf"):
            raise ValueError("throughput units are a number above 0, or null for no limit")
        self._units = units
        self.ingress = self.egress = None
        if units is not None:
            now_s = self._clock()
            self.ingress = ThroughputBucket(INGRESS_BYTES * units, INGRESS_EVENTS * units, now_s)
            self.egress = ThroughputBucket(EGRESS_BYTES * units, EGRESS_EVENTS * units, now_s)

    def try_admit(self, size_bytes: int, events: int) -> bool:
        """Whether a send is taken in; one that is not costs nothing but being counted."""
        if self.ingress is None:
            return True
        now_s = self._clock()
        if self.ingress.wait_s(now_s) > 0:
            self.refused_sends += 1
            return False
        self.ingress.consume(size_bytes, events, now_s)
        return True

    def egress_wait_s(self) -> float:
        """How long readers have to wait before the next portion."""
        return 0.0 if self.egress is None else self.egress.wait_s(self._clock())

    def count_egress(self, size_bytes: int, events: int) -> None:
        if self.egress is not None:
            self.egress.consume(size_bytes, events, self._clock())
