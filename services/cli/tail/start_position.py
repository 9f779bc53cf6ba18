"""The position from which a tail reads (pure)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.service.errors import NeedsAttention
from shared.streams.event_hubs.partition_events import AtOffset, Position

_HUB_RESOLUTION = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Start:
    """A position to read from, in every partition or, if `partition` is set, in this one only."""

    position: Position
    partition: str | None = None


def parse_start(text: str) -> Start:
    """Parse earliest, latest, an RFC 3339 time, or PARTITION:OFFSET.

    Raises NeedsAttention if the text is none of these.
    """
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
    # A hub starts after an instant, in milliseconds; the events of this instant are wanted too.
    return Start((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _HUB_RESOLUTION)
