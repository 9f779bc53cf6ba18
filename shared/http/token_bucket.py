"""A token bucket, which limits how much one caller may ask for. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """A bucket that holds at most `burst` tokens and is refilled with `per_s` tokens per second."""

    per_s: float
    burst: float
    _left: float
    _at_s: float

    @classmethod
    def full(cls, per_s: float, burst: float, now_s: float) -> "TokenBucket":
        return cls(per_s, burst, burst, now_s)

    def try_acquire(self, tokens: int, now_s: float) -> float:
        """Take `tokens` and return 0 if the bucket holds enough of them.

        Otherwise take none and return the number of seconds until the bucket will hold enough.
        """
        left = min(self.burst, self._left + (now_s - self._at_s) * self.per_s)
        self._left, self._at_s = left, now_s
        if tokens <= left:
            self._left = left - tokens
            return 0.0
        return (tokens - left) / self.per_s
