"""Lag that stands: per partition, the least number of events behind within an interval.

What arrived since the look before is in flight, not behind; a reader that had drained everything older at any
moment of the interval has no lag. A hub's slowest reader counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

HubPartition = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """Where a partition of a hub begins and ends."""

    begin: int
    last: int


@dataclass(slots=True)
class StandingLag:
    """`readers`: which services read which hub. Pages are of the same instant, the hub's looked at first."""

    readers: Mapping[str, Iterable[str]]
    _next_of: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _ends: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _ends_before: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _least: dict[HubPartition, int] = field(default_factory=dict)

    def see_end(self, hub: str, partition: str, end: PartitionEnd) -> None:
        self._ends[hub, partition] = end

    def see_reader(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """What a reader says; while it restarts it says nothing and its last word holds."""
        self._next_of[reader, hub, partition] = next_sequence

    def sample(self) -> None:
        """Take into the interval what was there at the look before and has not been taken in yet."""
        for place, lag in self._behind(self._ends_before).items():
            self._least[place] = min(lag, self._least.get(place, lag))
        self._ends_before = dict(self._ends)

    def now(self) -> dict[HubPartition, int]:
        """Events that the slowest reader has yet to take in, by partition, those in flight included."""
        return self._behind(self._ends)

    def _behind(self, ends: Mapping[HubPartition, PartitionEnd]) -> dict[HubPartition, int]:
        lags: dict[HubPartition, int] = {}
        for (hub, partition), end in ends.items():
            for reader in self.readers.get(hub, ()):
                taken = self._next_of.get((reader, hub, partition), end.begin)
                lag = max(0, end.last + 1 - max(taken, end.begin))
                lags[hub, partition] = max(lag, lags.get((hub, partition), 0))
        return lags

    def expected(self) -> set[tuple[str, str, str]]:
        """Every (reader, hub, partition) that is to say where it stands."""
        return {
            (reader, hub, partition) for hub, partition in self._ends for reader in self.readers.get(hub, ())
        }

    def is_known(self) -> bool:
        """Whether every reader has said where it stands in every partition."""
        return bool(self._ends) and self._next_of.keys() >= self.expected()

    def take(self) -> dict[str, dict[str, int]]:
        """The least of the interval by hub and partition; begins the next interval."""
        lag: dict[str, dict[str, int]] = defaultdict(dict)
        for (hub, partition), events in sorted((self._least or self.now()).items()):
            lag[hub][partition] = events
        self._least = {}
        return dict(lag)
