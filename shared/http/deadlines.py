"""The deadline for receiving the answers on one HTTP connection. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class DrainProgress:
    """The progress of a caller in receiving its answers.

    Bytes are counted from the start of the connection. All bytes that wait to be received at one check must
    be received within the time limit, counted from that check, even if more bytes are queued behind them.
    Receiving only some of them does not extend the limit.
    """

    _mark: int = 0
    _since_s: float = 0.0

    def is_late(self, received: int, waiting: int, now_s: float, within_s: float) -> bool:
        """Return True if bytes that were waiting `within_s` seconds ago are still not all received.

        `received` and `waiting` are numbers of bytes; `now_s` is a time in seconds.
        """
        if received >= self._mark:
            self._mark, self._since_s = received + waiting, now_s
            return False
        return now_s - self._since_s >= within_s
