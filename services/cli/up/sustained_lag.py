"""Sustained lag: per partition, the minimum number of events behind within an interval (pure).

Events that arrived since the previous sample are in flight, not behind: a reader that had drained everything
older at any moment of the interval has no lag. A hub's slowest reader counts.

A reader is any number of processes. Metrics pages show our own processes, checkpoints all of them.
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
    """The first and the last sequence number of a partition."""

    begin: int
    last: int


@dataclass(slots=True)
class SustainedLag:
    """The lag of each hub; `readers` names the services that read it.

    In each sample the hubs' ends are noted first, then the readers' positions.
    """

    readers: Mapping[str, Iterable[str]]
    _positions: dict[Place, int] = field(default_factory=dict)
    _checkpoints: dict[Place, int] = field(default_factory=dict)
    _ends: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _previous_ends: dict[HubPartition, PartitionEnd] = field(default_factory=dict)
    _min_lag: dict[HubPartition, int] = field(default_factory=dict)

    def note_end(self, hub: str, partition: str, end: PartitionEnd) -> None:
        self._ends[hub, partition] = end

    def note_position(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """Record the position on a reader's page; while it restarts, the last one holds."""
        self._positions[reader, hub, partition] = next_sequence

    def note_checkpoint(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """Record the checkpoint of a reader, by whichever of its processes."""
        self._checkpoints[reader, hub, partition] = next_sequence

    def sample(self) -> None:
        """Add the lag behind the previous sample's ends to the interval."""
        for place, lag in self._behind(self._previous_ends).items():
            self._min_lag[place] = min(lag, self._min_lag.get(place, lag))
        self._previous_ends = dict(self._ends)

    def current(self) -> dict[HubPartition, int]:
        """Return by partition how far the slowest reader is behind, with the events in flight."""
        return self._behind(self._ends)

    def is_unaccounted(self, reported: AbstractSet[Place]) -> bool:
        """Return whether checkpoints may be ahead of the pages.

        They may if a place is on no page (not in `reported`), or a reader is behind the previous sample.
        """
        return not reported >= self.expected() or any(self._behind(self._previous_ends).values())

    def is_drained(self, reported: AbstractSet[Place]) -> bool:
        """Return whether every reader has read everything, by its page (in `reported`) or its checkpoint.

        The last position of a service that restarts proves nothing.
        """
        return bool(self._ends) and all(
            end.last < self._position(place, end)
            if place in reported
            else end.last < max(end.begin, self._checkpoints.get(place, 0))
            for place, end in self._places(self._ends)
        )

    def expected(self) -> set[Place]:
        """Return every (reader, hub, partition) that must have a position."""
        return {place for place, _ in self._places(self._ends)}

    def is_known(self) -> bool:
        """Return whether every reader has a position in every partition."""
        return bool(self._ends) and self._positions.keys() >= self.expected()

    def _places(self, ends: Mapping[HubPartition, PartitionEnd]) -> Iterator[tuple[Place, PartitionEnd]]:
        for (hub, partition), end in ends.items():
            for reader in self.readers.get(hub, ()):
                yield (reader, hub, partition), end

    def _behind(self, ends: Mapping[HubPartition, PartitionEnd]) -> dict[HubPartition, int]:
        lags: dict[HubPartition, int] = {}
        for place, end in self._places(ends):
            lag = max(0, end.last + 1 - self._position(place, end))
            lags[place[1:]] = max(lag, lags.get(place[1:], 0))
        return lags

    def _position(self, place: Place, end: PartitionEnd) -> int:
        return max(end.begin, self._positions.get(place, 0), self._checkpoints.get(place, 0))

    def end_interval(self) -> dict[str, dict[str, int]]:
        """Return the minimum of the interval by hub and partition, and begin the next interval."""
        lag: dict[str, dict[str, int]] = defaultdict(dict)
        for (hub, partition), events in sorted((self._min_lag or self.current()).items()):
            lag[hub][partition] = events
        self._min_lag = {}
        return dict(lag)
