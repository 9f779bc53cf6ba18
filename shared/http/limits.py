"""Limits on the connections that callers may hold and on the units that they may ask for. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on how many connections may be open and on how many seconds each may wait for its caller."""

    connections: int
    request_s: float  # for a request to arrive, head and body in all
    answer_s: float  # for an answer to be received
    idle_s: float  # without a whole request head, from the connection's start too

    @property
    def check_interval_s(self) -> float:
        """The number of seconds between two checks of a connection.

        A connection may exceed its deadline by up to that long.
        """
        return min(1.0, self.request_s / 4, self.answer_s / 4)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The units that one caller may ask for: `per_s` each second in the long run, up to `burst` at once.

    A request costs one unit when it is admitted; its handler charges more if the body asks for more.
    `kind` and `detail` fill the problem document of the 429 answer that a caller above its limit gets.
    """

    per_s: float
    burst: float
    kind: str
    detail: str
