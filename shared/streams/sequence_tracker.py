"""Contiguous or stop: every reader keeps the next expected sequence number of a partition (pure).

After an internal reconnect the SDK resumes at the last delivered event without clearing its buffer, so one
process may receive events twice. A link may also skip events that the hub still has.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Step(Enum):
    """The relation of a received event to the expected one."""

    NEXT = auto()  # the expected one
    SEEN = auto()  # handled before: drop and count
    SKIP = auto()  # events before it are missing: close the link and reopen at the expected one


@dataclass(slots=True)
class SequenceTracker:
    """The next expected event of one partition, with which received events are compared."""

    next_expected: int
    seen: int = 0

    def judge(self, sequence_number: int) -> Step:
        """Compare an event with the expected one, and advance by one if they are the same."""
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
        """Go on at this number, because the hub lacks the events before it. Return how many it lacks."""
        lost = sequence_number - self.next_expected
        self.next_expected = sequence_number
        return lost
