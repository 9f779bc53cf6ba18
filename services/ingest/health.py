"""The health of a stream, derived from what the stream reports (pure: the caller passes the clock)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

# Refusals this far apart are separate occasions: the SDKs retry for a while before they report one.
_QUIET_S = 120.0
# If a hub closes each link at once, the SDK opens one every two seconds without end. A hub that restarts, or
# another process that claims the same partition, causes fewer: five were observed within 20 s.
_REFUSED_LINKS, _REFUSED_WITHIN_S = 12, 60.0


@dataclass(slots=True)
class Health:
    """A record of commits, failures and refusals.

    Once there was a commit, refusals may last `refusal_grace_s` (a role may be being granted, or a key put
    back). Events may wait `stall_after_s` for their commit.
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

    def note_commit(self, now_s: float) -> float | None:
        """Record a commit. Return for how many seconds writes to the lake had failed, or None."""
        self.has_committed = True
        since_s = self._lake_failing_since_s
        self._lake_failing_since_s = self._refused_since_s = None
        return None if since_s is None else now_s - since_s

    def note_lake_failure(self, now_s: float) -> bool:
        """Record a failed write to the lake. Return whether it is the first failure since a commit."""
        if self.is_lake_failing:
            return False
        self._lake_failing_since_s = now_s
        return True

    def note_refusal(self, now_s: float) -> bool:
        """Record a refusal. Return True if refusals have lasted past the grace period.

        Before the first commit there is no grace period: a refusal is then a mistake in the settings.
        """
        if self._refused_since_s is None or now_s - self._refused_at_s > self.refusal_grace_s + _QUIET_S:
            self._refused_since_s = now_s
        self._refused_at_s = now_s
        return not self.has_committed or now_s - self._refused_since_s >= self.refusal_grace_s

    def note_waiting(self, partition: int, next_expected: int, waiting: int, now_s: float) -> None:
        """Record that `waiting` events of a partition, from `next_expected` onwards, are still to be read."""
        if not waiting:
            self.forget(partition)
        elif self._unread.get(partition, (-1, 0.0))[0] != next_expected:
            self._unread[partition] = (next_expected, now_s)

    def is_link_refused(self, partition: int, next_expected: int, links_opened: int, now_s: float) -> bool:
        """Return whether a partition's link is reopened again and again without bringing an event.

        The SDK never reports this, and reopens the link without end.
        """
        place, links, since_s = self._links.get(partition, (-1, 0, 0.0))
        if place != next_expected or now_s - since_s > _REFUSED_WITHIN_S:
            self._links[partition] = (next_expected, links_opened, now_s)
            return False
        return links_opened - links >= _REFUSED_LINKS

    def forget(self, partition: int) -> None:
        """Drop the records of a partition that this process no longer owns."""
        self._unread.pop(partition, None)
        self._links.pop(partition, None)

    def is_well(self, uncommitted_since_s: Iterable[float | None], now_s: float) -> bool:
        """Return whether the lake accepts files, access is not refused, and no event waits too long.

        `uncommitted_since_s` holds, for each partition, the time since which it has had uncommitted events,
        or None.
        """
        waiting = [since_s for since_s in uncommitted_since_s if since_s is not None]
        waiting += [since_s for _, since_s in self._unread.values()]
        is_stalled = any(now_s - since_s > self.stall_after_s for since_s in waiting)
        return not (self.is_lake_failing or self._refused_since_s is not None or is_stalled)
