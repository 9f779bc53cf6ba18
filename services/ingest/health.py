"""How a stream is doing, from what was reported of it (pure: the clock comes from outside)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

# Refusals so far apart are two occasions. The SDKs try for a while themselves before they tell of one.
_QUIET_S = 120.0
# A hub that turns us away has the SDK open a link every other second, without end. A hub that restarts makes
# fewer necessary, and so does another process that claims the same partition: five were seen within 20 s.
_TURNED_AWAY_LINKS, _TURNED_AWAY_WITHIN_S = 12, 60.0


@dataclass(slots=True)
class Health:
    """`refusal_grace_s`: how long refusals of what worked before may pass by themselves (a role that is being
    granted, a key that is being put back). `stall_after_s`: for how long events may wait for their commit.
    """

    refusal_grace_s: float
    stall_after_s: float
    has_committed: bool = False
    _lake_failing_since_s: float | None = None
    _refused_since_s: float | None = None
    _refused_at_s: float = 0.0
    _unread: dict[int, tuple[int, float]] = field(default_factory=dict)
    _links: dict[int, tuple[int, int, float]] = field(default_factory=dict)

    @property
    def is_lake_failing(self) -> bool:
        return self._lake_failing_since_s is not None

    def committed(self, now_s: float) -> float | None:
        """A file landed. For how long the lake had been failing until now; None: it had not."""
        self.has_committed = True
        since_s = self._lake_failing_since_s
        self._lake_failing_since_s = self._refused_since_s = None
        return None if since_s is None else now_s - since_s

    def lake_failed(self, now_s: float) -> bool:
        """The lake did not take a file; whether that is news."""
        if self.is_lake_failing:
            return False
        self._lake_failing_since_s = now_s
        return True

    def refused(self, now_s: float) -> bool:
        """Hub or storage refused us, or something that we need is not there; whether to give up.

        At once where nothing ever landed: then it is a mistake in the settings.
        """
        if self._refused_since_s is None or now_s - self._refused_at_s > self.refusal_grace_s + _QUIET_S:
            self._refused_since_s = now_s
        self._refused_at_s = now_s
        return not self.has_committed or now_s - self._refused_since_s >= self.refusal_grace_s

    def looked(self, partition: int, next_expected: int, waiting: int, now_s: float) -> None:
        """So many of a partition's events are still in the hub alone, from that one on."""
        if not waiting:
            self.forget(partition)
        elif self._unread.get(partition, (-1, 0.0))[0] != next_expected:
            self._unread[partition] = (next_expected, now_s)

    def is_turned_away(self, partition: int, next_expected: int, links_opened: int, now_s: float) -> bool:
        """Whether a partition's link is opened again and again, while nothing comes over it.

        The SDK never tells of it: it opens the link anew without end.
        """
        place, links, since_s = self._links.get(partition, (-1, 0, 0.0))
        if place != next_expected or now_s - since_s > _TURNED_AWAY_WITHIN_S:
            self._links[partition] = (next_expected, links_opened, now_s)
            return False
        return links_opened - links >= _TURNED_AWAY_LINKS

    def forget(self, partition: int) -> None:
        """A partition is no longer this process's."""
        self._unread.pop(partition, None)
        self._links.pop(partition, None)

    def is_well(self, uncommitted_since_s: Iterable[float | None], now_s: float) -> bool:
        """Whether the lake takes files, nobody refuses us, and no event waits for too long.

        `uncommitted_since_s`: since when each partition holds events that are in no file yet.
        """
        waiting = [since_s for since_s in uncommitted_since_s if since_s is not None]
        waiting += [since_s for _, since_s in self._unread.values()]
        is_stalled = any(now_s - since_s > self.stall_after_s for since_s in waiting)
        return not (self.is_lake_failing or self._refused_since_s is not None or is_stalled)
