"""Predictions as the client library's reader sees them, against the readings that landed (pure)."""

from array import array
from collections import defaultdict
from datetime import timedelta

import numpy as np
import pyarrow as pa

from services.oracle.keys import MAX_READING_NO, Ints, VehicleCodes, ints, key_of, place_of
from services.oracle.readings import Readings, keys_in
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
Pairs = tuple[Ints, Ints]


def _integers() -> "array[int]":
    return array("q")


class Predictions:
    """What was predicted for which place of which source partition, and how long after the reading."""

    def __init__(self, codes: VehicleCodes) -> None:
        self._codes = codes
        self._places: defaultdict[int, array[int]] = defaultdict(_integers)
        self._keys: defaultdict[int, array[int]] = defaultdict(_integers)
        self._fleet_latencies_us = _integers()
        self._latencies_us = _integers()
        self.marks: dict[int, int] = {}
        self.raw = 0
        self._generation = 1

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
        keys = keys_in(batch, self._codes)
        latencies_us = ints(batch["enqueued_at"]) - ints(batch["reading_at"])
        for source in np.unique(sources).tolist():
            of_source = np.flatnonzero(sources == source)
            reached = np.maximum.accumulate(np.append(self.marks.get(source, -1), places[of_source]))
            self.marks[source] = int(reached[-1])
            new = of_source[np.diff(reached) > 0]
            self._keep(source, places[new], keys[new], latencies_us[new])

    def _keep(self, source: int, places: Ints, keys: Ints, latencies_us: Ints) -> None:
        of_fleet = latencies_us[self._codes.is_fleet(keys)]
        self._places[source].frombytes(places.tobytes())
        self._keys[source].frombytes(keys.tobytes())
        self._latencies_us.frombytes(latencies_us.tobytes())
        self._fleet_latencies_us.frombytes(of_fleet.tobytes())

    def take(self, prediction: Prediction, latency: timedelta) -> None:
        """One prediction that the reader gave; `latency` is from the reading to the hub's enqueued time."""
        vehicle, reading_no = self._codes.code(prediction.vehicle_id), prediction.reading_no
        key = key_of(vehicle, reading_no) if reading_no <= MAX_READING_NO else -reading_no
        place = place_of(prediction.source_sequence_number, prediction.source_line)
        self._places[prediction.source_partition].append(place)
        self._keys[prediction.source_partition].append(key)
        latency_us = latency // _MICROSECOND
        self._latencies_us.append(latency_us)
        if vehicle < self._codes.fleet_size:
            self._fleet_latencies_us.append(latency_us)

    @property
    def seen(self) -> int:
        """How many predictions the client got, doubles that got past its watermark included."""
        return sum(map(len, self._places.values()))

    def distinct(self) -> int:
        """How many readings were predicted."""
        return sum(len(self._pairs(source)[0]) for source in list(self._places))

    def missing(self, readings: Readings) -> int:
        """How many of the readings that landed have no prediction at their place and of their key."""
        landed: defaultdict[int, list[Pairs]] = defaultdict(list)
        for lane, places, keys in readings.lanes():
            landed[lane.partition].append((places, keys))
        missing = 0
        for partition, lanes in landed.items():
            places, keys = (np.concatenate(pieces) for pieces in zip(*lanes, strict=True))
            missing += _count_absent(_distinct(places, keys), self._pairs(partition))
        return missing

    def latency_ms(self) -> dict[str, float | None]:
        """Percentiles over the fleet's readings; where no fleet sent, over everyone's."""
        latencies_us = self._fleet_latencies_us or self._latencies_us
        names, ranks = ("p50", "p95", "p99"), (50, 95, 99)
        if not latencies_us:
            return dict.fromkeys(names)
        values = np.percentile(np.frombuffer(latencies_us, np.int64), ranks) / 1_000
        return dict(zip(names, np.round(values, 1).tolist(), strict=True))

    def _pairs(self, source: int) -> Pairs:
        return _distinct(
            np.array(self._places.get(source, ()), np.int64), np.array(self._keys.get(source, ()), np.int64)
        )


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
