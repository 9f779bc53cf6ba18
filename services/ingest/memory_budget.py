"""Each partition's share of memory; the total of all partitions of this process is bounded."""

from services.ingest.settings import MIN_MEMORY_BYTES, IngestSettings
from services.ingest.source_streams import hubs_by_stream
from shared.streams.handler_protocols import ReceiveLimits

# Events wait in four places, in each with at most a share: the link's buffer, those handed over, those
# gathered to be decoded together, and the last batch.
_STAGES = 4
# A link is read while at most half of its prefetch waits: half more is in memory, not twice as much.
_BATCHES_KEPT_READY = 4
# The assumed number for a hub that does not answer in time.
_MANY_PARTITIONS = 32
# Events are gathered for a moment and decoded together: the few that the SDK hands over at once would cost
# twice as much each.
_PIECE_BYTES, _PIECE_EVENTS = 2 * 2**20, 1_024
_GATHER_S = 0.2


def receive_limits(settings: IngestSettings, partitions: int | None) -> ReceiveLimits:
    """Return the limits for each of a hub's partitions; `partitions` is their number, or None if unknown."""
    partitions = partitions or _MANY_PARTITIONS
    prefetch, bytes_each = prefetch_share(settings, partitions), link_bytes(settings, partitions)
    return ReceiveLimits(
        prefetch,
        bytes_each,
        batch_events=max(1, prefetch // _BATCHES_KEPT_READY),
        waiting_events=1,
        piece_bytes=min(_PIECE_BYTES, bytes_each),
        piece_events=_PIECE_EVENTS,
        gather_s=_GATHER_S,
    )


def prefetch_share(settings: IngestSettings, partitions: int) -> int:
    """Return how many events each link may keep ready if the hub has `partitions` partitions."""
    links = partitions * len(hubs_by_stream(settings))
    return max(1, min(settings.prefetch, settings.prefetch_in_all // links))


def link_bytes(settings: IngestSettings, partitions: int) -> int:
    """Return how many bytes of events each link may keep ready if the hub has `partitions` partitions."""
    return max(1, settings.events_memory_bytes // (_STAGES * partitions * len(hubs_by_stream(settings))))


def rows_bytes(settings: IngestSettings, streams: int, owned: int) -> float:
    """Return how many bytes each partition's open file may take.

    `streams` is the number of streams, and `owned` the number of partitions that this process owns of one
    stream.
    """
    return settings.rows_memory_bytes / (streams * max(1, owned))


def worker_rows_bytes(settings: IngestSettings) -> int:
    """Return the memory for rows of one worker.

    The memory for events is not divided by workers, because it is divided by partitions anyway.
    """
    return max(MIN_MEMORY_BYTES, settings.rows_memory_bytes // settings.workers)
