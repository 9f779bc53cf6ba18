"""How much a caller may ask for: a token bucket, counted in vehicles (pure)."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """`per_s` vehicles a second in the long run, `burst` at once."""

    per_s: float
    burst: float
    _left: float
    _at_s: float

    @classmethod
    def full(cls, per_s: float, burst: float, now_s: float) -> "TokenBucket":
        return cls(per_s, burst, burst, now_s)

    def wait_s(self, vehicles: int, now_s: float) -> float:
        """0 where they are granted, and taken; else in how many seconds they will be, and none is taken."""
        left = min(self.burst, self._left + (now_s - self._at_s) * self.per_s)
        self._left, self._at_s = left, now_s
        if vehicles <= left:
            self._left = left - vehicles
            return 0.0
        return (vehicles - left) / self.per_s
