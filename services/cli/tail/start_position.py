"""Where to begin to watch (pure)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.service.errors import NeedsAttention
from shared.streams.event_hubs.partition_events import AtOffset, Position

_HUBS_RESOLUTION = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Start:
    """A position for every partition, or for `partition` alone."""

    position: Position
    partition: str | None = None


def parse_start(text: str) -> Start:
    """earliest, latest, an RFC 3339 time, or PARTITION:OFFSET; raises NeedsAttention for anything else."""
    if text in {"earliest", "latest"}:
        return Start(-1 if text == "earliest" else "@latest")
    partition, colon, offset = text.partition(":")
    if colon and partition.isascii() and partition.isdigit() and offset and "-" not in text:
        return Start(AtOffset(offset), str(int(partition)))
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise NeedsAttention(
            f"--from {text}: give earliest, latest, an RFC 3339 time such as 2026-03-01T12:00:00Z, "
            "or PARTITION:OFFSET"
        ) from None
    # A hub counts in milliseconds and starts after an instant; who names one wants the events of it too.
    return Start((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _HUBS_RESOLUTION)
