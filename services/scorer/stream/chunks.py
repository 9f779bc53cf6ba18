"""Readings of several events in source order, priced together and published in parts (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from services.scorer.stream.lineage import Place
from shared.codec.body_decoder import Decoded

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Readings in source order, all from JSON bodies (`records`) or all from Arrow bodies (`batch`).

    For each reading, `sequences` has its event's sequence number, `lines` its line in the event, and
    `enqueued_us` its event's enqueued time.
    """

    records: Sequence[Struct]
    batch: pa.RecordBatch | None
    sequences: Numbers
    lines: Numbers
    enqueued_us: Numbers

    @property
    def first(self) -> Place:
        return Place(int(self.sequences[0]), int(self.lines[0]))

    @property
    def last(self) -> Place:
        return Place(int(self.sequences[-1]), int(self.lines[-1]))

    @property
    def oldest_enqueued_us(self) -> int:
        return int(self.enqueued_us[0])

    @property
    def is_arrow(self) -> bool:
        return self.batch is not None

    def __len__(self) -> int:
        return len(self.sequences)

    def slice_rows(self, start: int, rows: int) -> "Chunk":
        """Return at most `rows` readings, beginning at index `start`."""
        kept = slice(start, start + rows)
        return Chunk(
            self.records[kept],
            None if self.batch is None else self.batch.slice(start, rows),
            self.sequences[kept],
            self.lines[kept],
            self.enqueued_us[kept],
        )


def build_event_chunk(sequence: int, enqueued_us: int, decoded: Decoded, columns: Sequence[str]) -> Chunk:
    """Build a chunk of one event's good readings; of an Arrow body only `columns` are kept."""
    rows = len(decoded.lines)
    return Chunk(
        decoded.records,
        None if decoded.batch is None else decoded.batch.select(columns),
        np.full(rows, sequence, dtype=np.int64),
        np.asarray(decoded.lines, dtype=np.int64),
        np.full(rows, enqueued_us, dtype=np.int64),
    )


def regroup_chunks(gathered: Iterable[Chunk], max_rows: int) -> Iterator[Chunk]:
    """Yield chunks of at most `max_rows` readings, in order; small chunks are joined, large ones split."""
    with_rows = (chunk for chunk in gathered if len(chunk))
    for _, group in groupby(with_rows, key=lambda chunk: chunk.is_arrow):
        whole = _join(list(group))
        if len(whole) <= max_rows:
            yield whole
            continue
        for start in range(0, len(whole), max_rows):
            yield whole.slice_rows(start, max_rows)


def _join(group: Sequence[Chunk]) -> Chunk:
    if len(group) == 1:
        return group[0]
    batches = [chunk.batch for chunk in group if chunk.batch is not None]
    return Chunk(
        [record for chunk in group for record in chunk.records],
        pa.concat_batches(batches) if batches else None,
        np.concatenate([chunk.sequences for chunk in group]),
        np.concatenate([chunk.lines for chunk in group]),
        np.concatenate([chunk.enqueued_us for chunk in group]),
    )


def drop_lines_through(decoded: Decoded, line: int) -> Decoded:
    """Return the readings after `line`, for an event of which a predecessor priced the lines up to `line`."""
    kept = [index for index, at in enumerate(decoded.lines) if at > line]
    start = kept[0] if kept else len(decoded.lines)
    return Decoded(
        decoded.records[start:],
        decoded.extras[start:],
        None if decoded.batch is None else decoded.batch.slice(start),
        decoded.lines[start:],
        decoded.bad,
    )
