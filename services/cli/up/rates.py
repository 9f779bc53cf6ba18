"""Rates per second of counters, over a sliding window."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """The rate of a counter over the last `window_s` seconds.

    If the counter has fallen, its service has restarted and counts from 0 again.
    """

    window_s: float
    _total: float = 0.0
    _last: float | None = None
    _samples: deque[tuple[float, float]] = field(default_factory=deque)

    def add_sample(self, now_s: float, count: float) -> None:
        if self._last is not None:
            self._total += count - self._last if count >= self._last else count
        self._last = count
        self._samples.append((now_s, self._total))
        while len(self._samples) > 2 and now_s - self._samples[1][0] >= self.window_s:  # noqa: PLR2004 - first, last
            self._samples.popleft()

    def per_s(self, now_s: float) -> float:
        if not self._samples:
            return 0.0
        first_s, first = self._samples[0]
        took_s = now_s - first_s
        return (self._total - first) / took_s if took_s > 0 else 0.0
