"""Properties of a hub and its partitions, independent of the transport (pure)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """The sequence numbers of a partition's oldest and last events.

    If the partition is empty, `oldest` is the number of the next event. `last` is -1 if there never was an
    event.
    """

    oldest: int
    last: int


@dataclass(frozen=True, slots=True)
class HubProperties:
    """A hub's creation time, which identifies the hub, and its current number of partitions."""

    created_at: datetime
    partitions: int

    @property
    def identity(self) -> str:
        """`created_at` in RFC 3339, the form in which file footers carry it."""
        return self.created_at.isoformat().replace("+00:00", "Z")
