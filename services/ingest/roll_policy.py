"""When a range is long enough to be a file (pure).

Any cut is safe, so an idle partition rolls on the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RollPolicy:
    """A file closes at the first of these; the enqueued hour closes it too (see `partition`)."""

    max_rows: int
    max_bytes: int
    max_age_s: float

    def is_full(self, rows: int, size_bytes: int) -> bool:
        """Whether what was taken in is enough; `size_bytes` counts bodies as they came."""
        return rows >= self.max_rows or size_bytes >= self.max_bytes

    def left(self, rows: int, size_bytes: int) -> tuple[int, int]:
        """Rows and bytes with which it will be enough."""
        return self.max_rows - rows, self.max_bytes - size_bytes

    def due_in_s(self, opened_at_s: float, now_s: float) -> float:
        """Seconds until a range opened then is old enough; 0 where it is."""
        return max(0.0, opened_at_s + self.max_age_s - now_s)
