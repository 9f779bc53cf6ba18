"""Token bucket: a limit on how much one caller may ask for. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """A bucket of `burst` tokens, refilled with `per_s` tokens a second."""

    per_s: float
    burst: float
    _left: float
    _at_s: float

    @classmethod
    def full(cls, per_s: float, burst: float, now_s: float) -> "TokenBucket":
        return cls(per_s, burst, burst, now_s)

    def try_acquire(self, tokens: int, now_s: float) -> float:
        """Take the tokens and return 0, or take none and return the seconds until there will be enough."""
        left = min(self.burst, self._left + (now_s - self._at_s) * self.per_s)
        self._left, self._at_s = left, now_s
        if tokens <= left:
            self._left = left - tokens
            return 0.0
        return (tokens - left) / self.per_s
