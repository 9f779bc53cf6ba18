"""Properties of a hub and its partitions, independent of the transport (pure)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """The sequence numbers of a partition's oldest event (if empty, the next) and of its last (-1: none)."""

    oldest: int
    last: int


@dataclass(frozen=True, slots=True)
class HubProperties:
    """A hub's identity, which differs for a re-created hub, and its current number of partitions."""

    created_at: datetime
    partitions: int

    @property
    def identity(self) -> str:
        """`created_at` in RFC 3339, as file footers carry it."""
        return self.created_at.isoformat().replace("+00:00", "Z")
