"""By when what is due between a caller and us must be there (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may take, and how many may be open."""

    request_s: float
    answer_s: float
    connections: int

    @property
    def look_s(self) -> float:
        """How often connections are looked at: so much longer than it may, at most, a slow one lasts."""
        return min(1.0, self.request_s / 4, self.answer_s / 4)


@dataclass(slots=True)
class DrainProgress:
    """Whether a caller takes what it is sent in time, all of it: a few bytes now and then buy no time.

    Bytes are counted from the connection's start. What waits at one look must be taken within a stated time
    of it, whatever is added behind it meanwhile.
    """

    _mark: int = 0
    _since_s: float = 0.0

    def is_late(self, taken: int, waiting: int, now_s: float, within_s: float) -> bool:
        if taken >= self._mark:
            self._mark, self._since_s = taken + waiting, now_s
            return False
        return now_s - self._since_s >= within_s
