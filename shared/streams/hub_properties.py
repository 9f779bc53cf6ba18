"""Facts of a hub beside its events, whatever the transport (pure)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PartitionBounds:
    """The oldest event that a partition still has (the next one if it has none) and its last (-1: none)."""

    oldest: int
    last: int


@dataclass(frozen=True, slots=True)
class HubProperties:
    """A hub's identity (a re-created hub has another) and how many partitions it has now."""

    created_at: datetime
    partitions: int

    @property
    def identity(self) -> str:
        """`created_at` in RFC 3339, as file footers carry it."""
        return self.created_at.isoformat().replace("+00:00", "Z")
