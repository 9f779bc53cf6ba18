"""Sustained lag: for each partition, the minimum number of events behind within an interval (pure).

Events that arrived since the previous sample are in flight and do not count. A reader that, at any sample of
the interval, had read everything older has no lag. The lag of a hub is that of its slowest reader.

A reader is a service with any number of processes. The metrics pages show only the processes of this stack;
checkpoints show all processes.
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
    """The sustained lag of each hub. `readers` has, by hub, the services that read the hub.

    For each sample, first the ends of the hubs must be noted, then the positions of the readers.
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
        """Record the position on a reader's metrics page; it is kept while the reader restarts."""
        self._positions[reader, hub, partition] = next_sequence

    def note_checkpoint(self, reader: str, hub: str, partition: str, next_sequence: int) -> None:
        """Record a checkpoint of a reader, whichever of the reader's processes wrote it."""
        self._checkpoints[reader, hub, partition] = next_sequence

    def sample(self) -> None:
        """Take the lag behind the ends of the previous sample into the minimum of the interval."""
        for place, lag in self._behind(self._previous_ends).items():
            self._min_lag[place] = min(lag, self._min_lag.get(place, lag))
        self._previous_ends = dict(self._ends)

    def current(self) -> dict[HubPartition, int]:
        """Return, by hub and partition, how far the slowest reader is behind, events in flight included."""
        return self._behind(self._ends)

    def is_unaccounted(self, reported: AbstractSet[Place]) -> bool:
        """Return whether checkpoints may be ahead of the positions on the metrics pages.

        This is possible if a reader's partition is on no page (is not in `reported`), or if a reader is
        behind the ends of the previous sample.
        """
        return not reported >= self.expected() or any(self._behind(self._previous_ends).values())

    def is_drained(self, reported: AbstractSet[Place]) -> bool:
        """Return whether every reader has read everything.

        For the places in `reported`, which are on a metrics page now, the newest position counts. For all
        others only the checkpoint counts: the last position of a service that restarts proves nothing.
        """
        return bool(self._ends) and all(
            end.last < self._position(place, end)
            if place in reported
            else end.last < max(end.begin, self._checkpoints.get(place, 0))
            for place, end in self._places(self._ends)
        )

    def expected(self) -> set[Place]:
        """Return every (reader, hub, partition) for which a position must be known."""
        return {place for place, _ in self._places(self._ends)}

    def is_known(self) -> bool:
        """Return whether every reader's page has shown a position for every partition of its hubs."""
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
        """Return the minimum lag of the interval by hub and partition, and begin the next interval.

        If the interval has no sample, the current lag is returned.
        """
        lag: dict[str, dict[str, int]] = defaultdict(dict)
        for (hub, partition), events in sorted((self._min_lag or self.current()).items()):
            lag[hub][partition] = events
        self._min_lag = {}
        return dict(lag)
