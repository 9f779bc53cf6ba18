"""The lineage of an output event: the range of readings that it prices, in its application properties.

Scoring resumes after the highest reading found in the lineages in an output partition's tail.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from shared.streams.event_hubs.messages import EventData, read_property

_NUMBERS = ("source_partition", "first_sequence", "first_line", "last_sequence", "last_line")
_CREATED_AT, _VERSION = "source_created_at", "model_version"


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a reading in a partition: its event and its line; places sort as the readings do."""

    sequence: int
    line: int

    def __lt__(self, other: Self) -> bool:
        return (self.sequence, self.line) < (other.sequence, other.line)


@dataclass(frozen=True, slots=True)
class Lineage:
    """The readings from `first` through `last` of one partition of the hub created at `created_at`.

    `version` is the model's version. It is not compared: a reader takes predictions of the same readings by
    another version for duplicates.
    """

    created_at: datetime
    partition: int
    first: Place
    last: Place
    version: str | None = field(default=None, compare=False)

    def properties(self) -> dict[str | bytes, Any]:
        """Return the lineage as application properties."""
        numbers = (
            self.partition,
            self.first.sequence,
            self.first.line,
            self.last.sequence,
            self.last.line,
        )
        version: dict[str | bytes, Any] = {} if self.version is None else {_VERSION: self.version}
        return {
            _CREATED_AT: self.created_at.isoformat(),
            **dict(zip(_NUMBERS, numbers, strict=True)),
            **version,
        }


def read_lineage(event: EventData) -> Lineage | None:
    """Return the lineage of an output event; None if the event has none, so was not sent by a scorer."""
    created_at = read_property(event, _CREATED_AT)
    numbers = [read_property(event, name) for name in _NUMBERS]
    if not isinstance(created_at, str) or not all(isinstance(number, int) for number in numbers):
        return None
    partition, first_sequence, first_line, last_sequence, last_line = numbers
    version = read_property(event, _VERSION)
    return Lineage(
        datetime.fromisoformat(created_at),
        partition,
        Place(first_sequence, first_line),
        Place(last_sequence, last_line),
        version if isinstance(version, str) else None,
    )
