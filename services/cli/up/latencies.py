"""Latencies in constant memory: counted in buckets that are 2 % wide."""

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Self

_BUCKETS_PER_E = 50.0
PERCENTILES = (50, 95, 99)


@dataclass(slots=True)
class LatencyCounts:
    """The number of latencies in each bucket; bucket n holds latencies around exp(n/50) ms."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, latency_ms: float) -> None:
        self.counts[round(math.log(max(latency_ms, 0.01)) * _BUCKETS_PER_E)] += 1

    def __add__(self, other: Self) -> "LatencyCounts":
        return LatencyCounts(self.counts + other.counts)

    def percentiles_ms(self) -> dict[str, float | None]:
        """Return p50, p95 and p99, each as the middle of its bucket; None if nothing was counted."""
        return {f"p{percent}": self._percentile_ms(percent) for percent in PERCENTILES}

    def _percentile_ms(self, percent: int) -> float | None:
        rank = math.ceil(self.counts.total() * percent / 100)
        passed = 0
        for bucket in sorted(self.counts):
            passed += self.counts[bucket]
            if passed >= rank:
                return round(math.exp(bucket / _BUCKETS_PER_E), 1)
        return None


class Latencies:
    """The latencies since the start, and those of the last few intervals."""

    def __init__(self, intervals: int = 5) -> None:
        self._ended = LatencyCounts()
        self._recent: deque[LatencyCounts] = deque([LatencyCounts()], maxlen=intervals)

    def add(self, latency_ms: float) -> None:
        self._recent[-1].add(latency_ms)

    def recent(self) -> LatencyCounts:
        """Return the counts of the last intervals, including the current one."""
        return sum(self._recent, LatencyCounts())

    def since_start(self) -> LatencyCounts:
        return self._ended + self._recent[-1]

    def end_interval(self) -> None:
        self._ended += self._recent[-1]
        self._recent.append(LatencyCounts())
