"""Decoded source events → chunks that are priced in one run and become one output event each (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from services.scorer.stream.lineage import Place
from shared.contract.bodies import Decoded

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """One event of the telemetry hub: its good readings, and where it stands."""

    sequence: int
    enqueued_us: int
    decoded: Decoded

    @property
    def is_arrow(self) -> bool:
        return self.decoded.batch is not None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Readings in source order, all of JSON bodies (`records`) or all of Arrow bodies (`batch`)."""

    records: Sequence[Struct]
    batch: pa.RecordBatch | None
    sequences: Numbers
    lines: Numbers
    oldest_enqueued_us: int

    @property
    def first(self) -> Place:
        return Place(int(self.sequences[0]), int(self.lines[0]))

    @property
    def last(self) -> Place:
        return Place(int(self.sequences[-1]), int(self.lines[-1]))

    def __len__(self) -> int:
        return len(self.sequences)


def chunks_of(events: Iterable[SourceEvent], max_rows: int, columns: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of at most `max_rows` readings, in order; of Arrow bodies only `columns` are kept.

    Readings of several events share a chunk, those of a large event are spread over several.
    """
    with_rows = (event for event in events if len(event.decoded.lines))
    for is_arrow, group in groupby(with_rows, key=lambda event: event.is_arrow):
        run = list(group)
        counts = [len(event.decoded.lines) for event in run]
        sequences = np.repeat(np.array([event.sequence for event in run], dtype=np.int64), counts)
        enqueued_us = np.repeat(np.array([event.enqueued_us for event in run], dtype=np.int64), counts)
        lines = np.concatenate([np.asarray(event.decoded.lines, dtype=np.int64) for event in run])
        records = [record for event in run for record in event.decoded.records]
        batch = _joined(run, columns) if is_arrow else None
        for start in range(0, len(lines), max_rows):
            part = slice(start, start + max_rows)
            yield Chunk(
                records[part],
                None if batch is None else batch.slice(start, max_rows),
                sequences[part],
                lines[part],
                int(enqueued_us[start]),
            )


def _joined(run: Sequence[SourceEvent], columns: Sequence[str]) -> pa.RecordBatch:
    batches = [event.decoded.batch.select(columns) for event in run if event.decoded.batch is not None]
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def without_lines_through(decoded: Decoded, line: int) -> Decoded:
    """What follows `line` in an event that was priced in part."""
    kept = [index for index, at in enumerate(decoded.lines) if at > line]
    start = kept[0] if kept else len(decoded.lines)
    return Decoded(
        decoded.records[start:],
        decoded.extras[start:],
        None if decoded.batch is None else decoded.batch.slice(start),
        decoded.lines[start:],
        decoded.bad,
    )
