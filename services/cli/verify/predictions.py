"""Compares predictions, as the client library's reader returns them, with the readings that landed (pure)."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.cli.verify.keys import MAX_READING_NO, Ints, VehicleCodes, join, make_key, make_place, to_ints
from services.cli.verify.prices import Prices
from services.cli.verify.readings import Readings, read_keys
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
    """The predictions for one source partition: place and key of the reading, and the latency."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, place: int, key: int, latency_us: int) -> None:
        self._numbers.extend((place, key, latency_us))

    def extend(self, rows: Rows) -> None:
        """Add rows with the columns place, key and latency."""
        self._numbers.frombytes(np.ascontiguousarray(rows).tobytes())

    def __len__(self) -> int:
        return len(self._numbers) // 3

    def rows(self) -> Rows:
        """Return an array with the columns place, key and latency (microseconds)."""
        return np.array(self._numbers, np.int64).reshape(-1, 3)


class Predictions:
    """The predictions that a client receives. `raw` also counts the doubles that the client drops."""

    def __init__(self, codes: VehicleCodes, prices: Prices) -> None:
        self._codes = codes
        self._prices = prices
        self._sources: defaultdict[int, _Source] = defaultdict(_Source)
        self._generation = 1
        self.marks: dict[int, int] = {}
        self.raw = 0

    def add_rows(self, batch: pa.RecordBatch, generation: int = 1) -> None:
        """Add raw rows of the lake, and drop the rows that a client drops: those not above its watermark.

        A re-created hub (another `generation`) counts sequence numbers from 0 again, so the watermarks are
        cleared.
        """
        if generation != self._generation:
            self.marks.clear()
            self._generation = generation
        self.raw += batch.num_rows
        sources = to_ints(batch["source_partition"])
        places = make_place(to_ints(batch["source_sequence_number"]), to_ints(batch["source_line"]))
        latencies_us = to_ints(batch["enqueued_at"]) - to_ints(batch["reading_at"])
        rows = np.column_stack((places, read_keys(batch, self._codes), latencies_us))
        for source in np.unique(sources).tolist():
            of_source = rows[sources == source]
            reached = np.maximum.accumulate(np.append(self.marks.get(source, -1), of_source[:, 0]))
            self.marks[source] = int(reached[-1])
            self._sources[source].extend(of_source[np.diff(reached) > 0])

    def add(self, prediction: Prediction, latency: timedelta) -> None:
        """Add a prediction from the reader.

        `latency` is the time from the reading to the enqueueing of the prediction in the hub.
        """
        self._prices.check_one("the predictions hub", prediction)
        vehicle, reading_no = self._codes.code(prediction.vehicle_id), prediction.reading_no
        key = make_key(vehicle, reading_no) if reading_no <= MAX_READING_NO else -reading_no
        place = make_place(prediction.source_sequence_number, prediction.source_line)
        self._sources[prediction.source_partition].add(place, key, latency // _MICROSECOND)

    def append(self, later: "Predictions", marks: Mapping[int, int]) -> None:
        """Append predictions of a reader that started where these predictions end.

        Rows that are not above the watermark of their source partition in `marks` are dropped, as a client
        does.
        """
        self.raw += later.raw
        for number, rows in later.rows():
            self._sources[number].extend(rows[rows[:, 0] > marks.get(number, -1)])

    def rows(self) -> Iterator[tuple[int, Rows]]:
        """Yield each source partition and an array with the columns place, key and latency (microseconds)."""
        for number, source in self._sources.items():
            yield number, source.rows()

    @property
    def seen(self) -> int:
        """Return the number of predictions that the client received, with doubles that it failed to drop."""
        return sum(map(len, self._sources.values()))

    def keys(self) -> Ints:
        """Return the keys of all predictions, doubles included."""
        return join([rows[:, 1] for _, rows in self.rows()])

    def count_distinct(self) -> int:
        """Return the number of distinct readings that were priced."""
        return sum(len(_distinct(rows[:, 0], rows[:, 1])[0]) for _, rows in self.rows())

    def count_missing(self, readings: Readings) -> tuple[int, int]:
        """Count the landed readings for which there is no prediction with their place and key.

        The second number counts only the readings after the last priced place of their partition.
        """
        landed: defaultdict[int, list[Pairs]] = defaultdict(list)
        for chain, places, keys in readings.chains():
            landed[chain.partition].append((places, keys))
        missing = after_last = 0
        for partition, chains in landed.items():
            places, keys = (np.concatenate(pieces) for pieces in zip(*chains, strict=True))
            rows = self._sources[partition].rows()
            wanted, held = _distinct(places, keys), _distinct(rows[:, 0], rows[:, 1])
            missing += _count_absent(wanted, held)
            after_last += int(np.count_nonzero(wanted[0] > held[0].max(initial=-1)))
        return missing, after_last

    def latency_ms(self) -> dict[str, float | None]:
        """Return the percentiles p50, p95 and p99 in milliseconds, over the readings of the fleet.

        If there are no readings of a fleet, all readings count. Without any prediction each percentile is
        None.
        """
        pieces = [rows[:, 1:] for _, rows in self.rows()]
        fleet = join([rows[self._codes.is_fleet(rows[:, 0]), 1] for rows in pieces])
        latencies_us = fleet if len(fleet) else join([rows[:, 1] for rows in pieces])
        names, ranks = ("p50", "p95", "p99"), (50, 95, 99)
        if not len(latencies_us):
            return dict.fromkeys(names)
        values = np.percentile(latencies_us, ranks) / 1_000
        return dict(zip(names, np.round(values, 1).tolist(), strict=True))


def _distinct(places: Ints, keys: Ints) -> Pairs:
    """Return the distinct pairs of place and key, ascending."""
    order = np.lexsort((keys, places))
    places, keys = places[order], keys[order]
    is_first = np.ones(len(places), np.bool_)
    is_first[1:] = (np.diff(places) != 0) | (np.diff(keys) != 0)
    return places[is_first], keys[is_first]


def _count_absent(wanted: Pairs, held: Pairs) -> int:
    """Count the pairs of `wanted` that are not in `held`. Neither may contain a pair twice."""
    both = len(wanted[0]) + len(held[0])
    places, _ = _distinct(np.concatenate((wanted[0], held[0])), np.concatenate((wanted[1], held[1])))
    common = both - len(places)
    return len(wanted[0]) - common
