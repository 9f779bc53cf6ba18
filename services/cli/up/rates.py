"""Rates per second from counters, over a sliding window."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """A counter's rate over the last `window_s` seconds; a counter that fell was begun anew by a restart."""

    window_s: float
    _total: float = 0.0
    _last: float | None = None
    _seen: deque[tuple[float, float]] = field(default_factory=deque)

    def see(self, now_s: float, count: float) -> None:
        if self._last is not None:
            self._total += count - self._last if count >= self._last else count
        self._last = count
        self._seen.append((now_s, self._total))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= self.window_s:  # noqa: PLR2004 - first, last
            self._seen.popleft()

    def per_s(self, now_s: float) -> float:
        if not self._seen:
            return 0.0
        first_s, first = self._seen[0]
        took_s = now_s - first_s
        return (self._total - first) / took_s if took_s > 0 else 0.0
