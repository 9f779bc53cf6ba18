"""Deadlines of one HTTP connection: whether an answer is being received in time. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class DrainProgress:
    """Progress of a caller that receives its answers.

    Bytes are counted from the connection's start. All bytes that wait at one check must be received within
    the time limit from that check, whatever is added behind them meanwhile. Receiving a few bytes now and
    then does not extend it.
    """

    _mark: int = 0
    _since_s: float = 0.0

    def is_late(self, received: int, waiting: int, now_s: float, within_s: float) -> bool:
        """Return True if the bytes that waited `within_s` ago are not all received; counts are in bytes."""
        if received >= self._mark:
            self._mark, self._since_s = received + waiting, now_s
            return False
        return now_s - self._since_s >= within_s
