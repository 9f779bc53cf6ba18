"""Predictions as the client library's reader sees them, against the readings that landed (pure)."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.cli.verify.keys import MAX_READING_NO, Ints, VehicleCodes, ints, joined, key_of, place_of
from services.cli.verify.readings import Readings, keys_in
from shared.contract.prediction import Prediction

LAKE_COLUMNS = (
    "vehicle_id",
    "reading_no",
    "reading_at",
    "enqueued_at",
    "source_partition",
    "source_sequence_number",
    "source_line",
)
_MICROSECOND = timedelta(microseconds=1)
Rows = npt.NDArray[np.int64]
Pairs = tuple[Ints, Ints]


class _Source:
    """The predictions for one source partition: place and key of the reading, and how long after it."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, place: int, key: int, latency_us: int) -> None:
        self._numbers.extend((place, key, latency_us))

    def extend(self, rows: Rows) -> None:
        """Rows of three columns."""
        self._numbers.frombytes(np.ascontiguousarray(rows).tobytes())

    def __len__(self) -> int:
        return len(self._numbers) // 3

    def rows(self) -> Rows:
        """Columns: place, key, latency."""
        return np.array(self._numbers, np.int64).reshape(-1, 3)


class Predictions:
    """What was predicted, doubles dropped as a client drops them; `raw` counts them too."""

    def __init__(self, codes: VehicleCodes) -> None:
        self._codes = codes
        self._sources: defaultdict[int, _Source] = defaultdict(_Source)
        self._generation = 1
        self.marks: dict[int, int] = {}
        self.raw = 0

    def take_rows(self, batch: pa.RecordBatch, generation: int = 1) -> None:
        """Raw rows of the lake, as a client would have read them: what is not above its mark is dropped.

        A hub of another `generation` counts from the start again, and so do the marks.
        """
        if generation != self._generation:
            self.marks.clear()
            self._generation = generation
        self.raw += batch.num_rows
        sources = ints(batch["source_partition"])
        places = place_of(ints(batch["source_sequence_number"]), ints(batch["source_line"]))
        latencies_us = ints(batch["enqueued_at"]) - ints(batch["reading_at"])
        rows = np.column_stack((places, keys_in(batch, self._codes), latencies_us))
        for source in np.unique(sources).tolist():
            of_source = rows[sources == source]
            reached = np.maximum.accumulate(np.append(self.marks.get(source, -1), of_source[:, 0]))
            self.marks[source] = int(reached[-1])
            self._sources[source].extend(of_source[np.diff(reached) > 0])

    def take(self, prediction: Prediction, latency: timedelta) -> None:
        """One prediction that the reader gave; `latency` is from the reading to the hub's enqueued time."""
        vehicle, reading_no = self._codes.code(prediction.vehicle_id), prediction.reading_no
        key = key_of(vehicle, reading_no) if reading_no <= MAX_READING_NO else -reading_no
        place = place_of(prediction.source_sequence_number, prediction.source_line)
        self._sources[prediction.source_partition].add(place, key, latency // _MICROSECOND)

    def go_on_with(self, later: "Predictions", marks: Mapping[int, int]) -> None:
        """Add what a reader gave that started where these end, having been told `marks`."""
        self.raw += later.raw
        for number, rows in later.rows():
            self._sources[number].extend(rows[rows[:, 0] > marks.get(number, -1)])

    def rows(self) -> Iterator[tuple[int, Rows]]:
        """By source partition: place, key and latency in microseconds."""
        for number, source in self._sources.items():
            yield number, source.rows()

    @property
    def seen(self) -> int:
        """How many predictions the client got, doubles that got past its watermark included."""
        return sum(map(len, self._sources.values()))

    def distinct(self) -> int:
        """How many readings were predicted."""
        return sum(len(_distinct(rows[:, 0], rows[:, 1])[0]) for _, rows in self.rows())

    def missing(self, readings: Readings) -> tuple[int, int]:
        """How many of the readings that landed have no prediction at their place and of their key.

        And how many of these come after the last one of their partition that has.
        """
        landed: defaultdict[int, list[Pairs]] = defaultdict(list)
        for lane, places, keys in readings.lanes():
            landed[lane.partition].append((places, keys))
        missing = at_the_end = 0
        for partition, lanes in landed.items():
            places, keys = (np.concatenate(pieces) for pieces in zip(*lanes, strict=True))
            rows = self._sources[partition].rows()
            wanted, held = _distinct(places, keys), _distinct(rows[:, 0], rows[:, 1])
            missing += _count_absent(wanted, held)
            at_the_end += int(np.count_nonzero(wanted[0] > held[0].max(initial=-1)))
        return missing, at_the_end

    def latency_ms(self) -> dict[str, float | None]:
        """Percentiles over the fleet's readings; where no fleet sent, over everyone's."""
        pieces = [rows[:, 1:] for _, rows in self.rows()]
        fleet = joined([rows[self._codes.is_fleet(rows[:, 0]), 1] for rows in pieces])
        latencies_us = fleet if len(fleet) else joined([rows[:, 1] for rows in pieces])
        names, ranks = ("p50", "p95", "p99"), (50, 95, 99)
        if not len(latencies_us):
            return dict.fromkeys(names)
        values = np.percentile(latencies_us, ranks) / 1_000
        return dict(zip(names, np.round(values, 1).tolist(), strict=True))


def _distinct(places: Ints, keys: Ints) -> Pairs:
    """Each pair once, ascending."""
    order = np.lexsort((keys, places))
    places, keys = places[order], keys[order]
    is_first = np.ones(len(places), np.bool_)
    is_first[1:] = (np.diff(places) != 0) | (np.diff(keys) != 0)
    return places[is_first], keys[is_first]


def _count_absent(wanted: Pairs, held: Pairs) -> int:
    """How many of the pairs in `wanted` are not in `held`; either holds each pair once."""
    both = len(wanted[0]) + len(held[0])
    places, _ = _distinct(np.concatenate((wanted[0], held[0])), np.concatenate((wanted[1], held[1])))
    common = both - len(places)
    return len(wanted[0]) - common
