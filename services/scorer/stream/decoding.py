"""Decoding of events into readings; several events are decoded at once if all their records are good."""

from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import Counter

from services.scorer.stream.chunks import Chunk, build_event_chunk, drop_lines_through
from services.scorer.stream.lineage import Place
from shared.codec.batch_decoder import EMPTY, BatchDecoder, DecodedBatch
from shared.codec.content_encoding import is_gzip
from shared.contract.columns import READING
from shared.service.logs import log
from shared.streams.event import Event
from shared.streams.poison import GuardedDecoder

BAD_READINGS = Counter(
    "fleetprice_scorer_unpriced_records_total", "Records that do not decode, so have no price"
)

# Rows of several events that are decoded, priced and encoded together, to pay fixed costs once. More would
# only delay the other partitions of this process.
ROWS_TOGETHER = 4_000


class ReadingDecoder:
    """A decoder of one partition's events.

    Bad records are counted and left out; ingest keeps them as dead letters.
    """

    def __init__(self, after: Place | None, decoder: GuardedDecoder) -> None:
        """Begin after the place `after`, up to which a predecessor priced readings.

        In the event at `after`, readings up to that line are left out. None leaves out nothing.
        """
        self._after = after
        self._runs = BatchDecoder(READING)
        self._decoder = decoder
        self._alone_through = -1

    def decode(self, events: Sequence[Event], columns: Sequence[str]) -> Iterator[Chunk]:
        """Yield chunks of readings, ordered by event and line; of Arrow bodies only `columns` are kept."""
        place = 0
        while place < len(events):
            run = self._decode_together(events, place)
            count = len(run.counts)
            yield (
                _build_chunk(events[place : place + count], run, columns)
                if count
                else self._decode_one(events[place], columns)
            )
            place += count or 1

    def has_unpriced_readings(self, event: Event) -> bool:
        """Return whether a predecessor priced this event in part, so that some readings have no price yet."""
        if self._after is None or event.sequence_number != self._after.sequence:
            return False
        decoded = self._decoder.decode(event)
        return bool(drop_lines_through(decoded, self._after.line).lines)

    def _decode_together(self, events: Sequence[Event], place: int) -> DecodedBatch:
        first = events[place]
        if self._after is not None and first.sequence_number == self._after.sequence:
            return EMPTY  # this event was priced in part
        if is_gzip(first.content_encoding) or first.sequence_number <= self._alone_through:
            return EMPTY  # gzip: expanded together, a few events could take gigabytes
        bodies: list[bytes] = []
        alone = self._decoder.alone
        for event in events[place : place + ROWS_TOGETHER]:
            if (
                event.content_type != first.content_type
                or event.content_encoding != first.content_encoding
                or event.fault is not None
                or (alone and event.sequence_number in alone)
            ):
                break
            bodies.append(event.body)
        return self._decode_run(events[place : place + len(bodies)], bodies)

    def _decode_run(self, events: Sequence[Event], bodies: Sequence[bytes]) -> DecodedBatch:
        """Decode events together; if that raises an error, each of them is decoded by itself."""
        if not bodies:
            return EMPTY
        try:
            return self._runs.decode(bodies, events[0].content_type, ROWS_TOGETHER)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the event at fault raises it again when it is alone
            self._runs = BatchDecoder(READING)
            self._alone_through = events[-1].sequence_number
            log.warning(
                "events_decoded_alone",
                hub=self._decoder.hub,
                partition=self._decoder.partition,
                first_sequence_number=events[0].sequence_number,
                reason=str(error),
            )
            return EMPTY

    def _decode_one(self, event: Event, columns: Sequence[str]) -> Chunk:
        decoded = self._decoder.decode(event)
        if self._after is not None and event.sequence_number == self._after.sequence:
            decoded = drop_lines_through(decoded, self._after.line)
        if decoded.bad:
            BAD_READINGS.inc(len(decoded.bad))
        return build_event_chunk(event.sequence_number, event.enqueued_us, decoded, columns)


def _build_chunk(events: Sequence[Event], run: DecodedBatch, columns: Sequence[str]) -> Chunk:
    """Build a chunk from events decoded together; each event's lines are numbered from 0 without gaps."""
    counts = np.array(run.counts)
    ends = counts.cumsum()
    sequences = np.array([event.sequence_number for event in events], dtype=np.int64)
    enqueued_us = np.array([event.enqueued_us for event in events], dtype=np.int64)
    return Chunk(
        run.records,
        None if run.batch is None else run.batch.select(columns),
        np.repeat(sequences, counts),
        np.arange(ends[-1]) - np.repeat(ends - counts, counts),
        np.repeat(enqueued_us, counts),
    )
