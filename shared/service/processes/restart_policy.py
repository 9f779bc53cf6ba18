"""Decisions about what follows when a supervised process ends. No I/O."""

from dataclasses import dataclass
from enum import Enum

from shared.service.run import EXIT_DONE, EXIT_NEEDS_ATTENTION

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
# A shorter life counts as a failed attempt; a longer one resets the count.
SHORT_LIFE_S = 10.0
MAX_SHORT_LIVES = 10


class Next(Enum):
    RESTART = "restart"
    FINISHED = "finished"
    REFUSED = "refused"
    GIVEN_UP = "given up"


@dataclass(slots=True)
class RestartPolicy:
    """The decisions about restarts of one process, and their counts.

    If `may_finish` is true, exit code 0 ends the process for good and is no failure.
    """

    may_finish: bool
    max_short_lives: int = MAX_SHORT_LIVES
    longest_delay_s: float = LONGEST_DELAY_S
    restarts: int = 0
    short_lives: int = 0

    def after(self, exit_code: int, lived_s: float) -> Next:
        """Count an end of the process that was not requested, and return what must follow."""
        if exit_code == EXIT_NEEDS_ATTENTION:
            return Next.REFUSED
        if exit_code == EXIT_DONE and self.may_finish:
            return Next.FINISHED
        self.short_lives = self.short_lives + 1 if lived_s < SHORT_LIFE_S else 1
        if self.short_lives > self.max_short_lives:
            return Next.GIVEN_UP
        self.restarts += 1
        return Next.RESTART

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the next start; the delay doubles with every short life, up to a maximum."""
        return min(FIRST_DELAY_S * 2.0 ** max(0, self.short_lives - 1), self.longest_delay_s)
