"""Lag that stands: per partition, the least number of events behind within an interval.

What arrived since the look before is in flight, not behind; a reader that had drained everything older at any
moment of the interval has no lag. A hub's slowest reader counts.

A reader is any number of processes, of which only our own ones' pages are looked at; checkpoints tell of all.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

HubPartition = tuple[str, str]
# Reader, hub, partition.
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """Where a partition of a hub begins and ends."""

    begin: int
    last: int


@dataclass(slots=True)
class SustainedLag:
    """`readers`: which services read which hub. Pages are of the same instant, the hub's looked at first."""

    readers: Mapping[str, Iterable[str]]
    _next_of: dict[Place, int] = field(default_factory=dict)
    _checkpointed: dict[Place, int] = field(default_factory=dict)
    _ends: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _ends_before: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _least: dict[HubPartition, int] = field(default_factory=dict)

    def see_end(self, hub: str, partition: str, end: PartitionEnd) -> None:
        self._ends[hub, partition] = end

    def see_reader(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """What a reader says; while it restarts it says nothing and its last word holds."""
        self._next_of[reader, hub, partition] = next_sequence

    def see_checkpoint(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """What a reader has done for good, by whichever of its processes."""
        self._checkpointed[reader, hub, partition] = next_sequence

    def sample(self) -> None:
        """Take into the interval what was there at the look before and has not been taken in yet."""
        for place, lag in self._behind(self._ends_before).items():
            self._least[place] = min(lag, self._least.get(place, lag))
        self._ends_before = dict(self._ends)

    def now(self) -> dict[HubPartition, int]:
        """Events that the slowest reader has yet to take in, by partition, those in flight included."""
        return self._behind(self._ends)

    def is_unaccounted(self, said: AbstractSet[Place]) -> bool:
        """Whether checkpoints may know more than the pages: somebody's partition is on none of them (`said`),
        or what was there at the look before has not been taken in.
        """
        return not said >= self.expected() or any(self._behind(self._ends_before).values())

    def is_drained(self, said: AbstractSet[Place]) -> bool:
        """Whether every reader has taken in all: as it `said` just now, or for good by its checkpoint.

        A service that is being started again has the last word of its former life, which proves nothing.
        """
        return bool(self._ends) and all(
            end.last < self._taken(place, end)
            if place in said
            else end.last < max(end.begin, self._checkpointed.get(place, 0))
            for place, end in self._read(self._ends)
        )

    def expected(self) -> set[Place]:
        """Every (reader, hub, partition) that is to say where it stands."""
        return {place for place, _ in self._read(self._ends)}

    def is_known(self) -> bool:
        """Whether every reader has said where it stands in every partition."""
        return bool(self._ends) and self._next_of.keys() >= self.expected()

    def _read(self, ends: Mapping[HubPartition, PartitionEnd]) -> Iterator[tuple[Place, PartitionEnd]]:
        for (hub, partition), end in ends.items():
            for reader in self.readers.get(hub, ()):
                yield (reader, hub, partition), end

    def _behind(self, ends: Mapping[HubPartition, PartitionEnd]) -> dict[HubPartition, int]:
        lags: dict[HubPartition, int] = {}
        for place, end in self._read(ends):
            lag = max(0, end.last + 1 - self._taken(place, end))
            lags[place[1:]] = max(lag, lags.get(place[1:], 0))
        return lags

    def _taken(self, place: Place, end: PartitionEnd) -> int:
        return max(end.begin, self._next_of.get(place, 0), self._checkpointed.get(place, 0))

    def take(self) -> dict[str, dict[str, int]]:
        """The least of the interval by hub and partition; begins the next interval."""
        lag: dict[str, dict[str, int]] = defaultdict(dict)
        for (hub, partition), events in sorted((self._least or self.now()).items()):
            lag[hub][partition] = events
        self._least = {}
        return dict(lag)
