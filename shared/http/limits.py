"""Limits on what callers may hold and ask for. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections may be open, and how long each may wait for its caller, in seconds."""

    connections: int
    request_s: float  # for a request to arrive, head and body in all
    answer_s: float  # for an answer to be received
    idle_s: float  # without a whole request head, from the connection's start too

    @property
    def check_interval_s(self) -> float:
        """The interval between two checks of a connection, which may exceed its limit by that much."""
        return min(1.0, self.request_s / 4, self.answer_s / 4)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The units that one caller may ask for: `per_s` in the long run, `burst` at once.

    A request costs one unit when it is admitted; its handler charges more if the body asks for more.
    `kind` and `detail` describe the 429 of a caller that exceeds its limit.
    """

    per_s: float
    burst: float
    kind: str
    detail: str
