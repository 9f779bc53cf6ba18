"""Memory that each partition may take: it is bounded over all partitions of this process together."""

from services.ingest.settings import MIN_MEMORY_BYTES, IngestSettings
from services.ingest.source_streams import hubs_by_stream
from shared.streams.handler_protocols import ReceiveLimits

# An event waits in the link's buffer, then among those handed over, then until there is enough to decode
# together: at most a share, and what was handed over last.
_STAGES = 4
# The link reads on while at most half of its prefetch waits: so half more is in memory, not twice as much.
_BATCHES_KEPT_READY = 4
# For a hub that does not answer in time.
_MANY_PARTITIONS = 32
# What is decoded together before other partitions get their turn; and how long is waited for so much, for
# the SDK hands over little more than what came in since the last turn, which costs twice as much a reading.
_PIECE_BYTES, _PIECE_EVENTS = 2 * 2**20, 1_024
_GATHER_S = 0.2


def receive_limits(settings: IngestSettings, partitions: int | None) -> ReceiveLimits:
    """Return the share of each of a hub's partitions (None: it is not known how many there are)."""
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
    """Return the events that each link of a hub with so many partitions keeps ready."""
    links = partitions * len(hubs_by_stream(settings))
    return max(1, min(settings.prefetch, settings.prefetch_in_all // links))


def link_bytes(settings: IngestSettings, partitions: int) -> int:
    """Return the bytes of events not handed over that each link of a hub keeps in memory."""
    return max(1, settings.events_memory_bytes // (_STAGES * partitions * len(hubs_by_stream(settings))))


def rows_bytes(settings: IngestSettings, streams: int, owned: int) -> float:
    """Return the memory that gathered rows of each partition may take, of `owned` in this process."""
    return settings.rows_memory_bytes / (streams * max(1, owned))


def worker_rows_bytes(settings: IngestSettings) -> int:
    """Return a worker's part of the memory for rows; of received events it has its part by its partitions."""
    return max(MIN_MEMORY_BYTES, settings.rows_memory_bytes // settings.workers)
