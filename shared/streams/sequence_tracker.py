"""Contiguous or stop: every reader keeps the next expected sequence number of a partition (pure).

On an internal reconnect the SDK goes back to the last delivered event without clearing its buffer, so events
come twice within one process; and a link may skip events that the hub still has.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Step(Enum):
    """The relation of an event to the expected one."""

    NEXT = auto()  # the expected one
    SEEN = auto()  # handled before: drop and count
    SKIP = auto()  # events before it are missing: close the link and reopen at the expected one


@dataclass(slots=True)
class SequenceTracker:
    """Judges events of one partition by sequence number."""

    next_expected: int
    seen: int = 0

    def judge(self, sequence_number: int) -> Step:
        """Compare an event with the expected one; advance if it is that."""
        if sequence_number == self.next_expected:
            self.next_expected += 1
            return Step.NEXT
        if sequence_number < self.next_expected:
            self.seen += 1
            return Step.SEEN
        return Step.SKIP

    def advance(self, count: int) -> None:
        """Advance by `count` events that are known to be the expected ones."""
        self.next_expected += count

    def jump(self, sequence_number: int) -> int:
        """Accept a gap of the hub's own; return the number of events in it."""
        lost = sequence_number - self.next_expected
        self.next_expected = sequence_number
        return lost
