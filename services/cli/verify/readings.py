"""Raw rows of readings, as keys and places, and what is wrong with them (pure)."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.cli.verify.chain import ChainKey
from services.cli.verify.keys import (
    MAX_READING_NO,
    Ints,
    VehicleCodes,
    are_in,
    first_of_each,
    ints,
    joined,
    key_of,
    place_of,
    vehicle_in,
)

KEY_COLUMNS = ("vehicle_id", "reading_no")


def keys_in(batch: pa.RecordBatch, codes: VehicleCodes) -> Ints:
    """The keys of a batch's readings; below 0 where a number is larger than any fleet's."""
    numbers = ints(batch["reading_no"])
    return np.where(numbers <= MAX_READING_NO, key_of(codes.codes(batch["vehicle_id"]), numbers), -numbers)


class Readings:
    """The readings that landed, by lane, in the order in which they stand in the files."""

    def __init__(self, codes: VehicleCodes) -> None:
        self._codes = codes
        self._keys: dict[ChainKey, list[Ints]] = {}
        self._places: dict[ChainKey, list[Ints]] = {}
        self._replayed: dict[ChainKey, list[Ints]] = {}
        self._fleet_keys: Ints | None = None
        self.rows = 0

    def take(
        self, lane: ChainKey, batch: pa.RecordBatch, is_replay: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Take in a batch with the key and place columns; replays of dead letters come late by nature."""
        self.rows += batch.num_rows
        self._keys.setdefault(lane, []).append(keys_in(batch, self._codes))
        places = place_of(ints(batch["sequence_number"]), ints(batch["line"]))
        self._places.setdefault(lane, []).append(places)
        if is_replay is not None and is_replay.any():
            self._replayed.setdefault(lane, []).append(places[is_replay])

    def lanes(self) -> Iterator[tuple[ChainKey, Ints, Ints]]:
        """Each lane's places and keys."""
        for lane, keys in sorted(self._keys.items()):
            yield lane, joined(self._places[lane]), joined(keys)

    def fleet_keys(self) -> Ints:
        """Keys of the fleet's vehicles, ascending, doubles included."""
        if self._fleet_keys is None:
            kept = [keys[self._codes.is_fleet(keys)] for _, _, keys in self.lanes()]
            self._fleet_keys = np.sort(joined(kept))
        return self._fleet_keys

    def missing(self, sent: Ints) -> Ints:
        """Those of `sent` (ascending) that did not land."""
        return sent[~are_in(sent, self.fleet_keys())]

    def landed(self, keys: Ints) -> int:
        """How many of `keys` landed."""
        return int(np.count_nonzero(are_in(keys, self.fleet_keys())))

    def doubled(self) -> int:
        """Rows beyond one a reading of the fleet, and beyond one a place for everyone else's.

        Whether a stranger sent a reading twice is the stranger's to know; that it landed twice is ours.
        """
        keys = self.fleet_keys()
        doubled = len(keys) - len(np.unique(keys))
        for _, places, keys in self.lanes():
            strangers = places[~self._codes.is_fleet(keys)]
            doubled += len(strangers) - len(np.unique(strangers))
        return doubled

    def out_of_order(self) -> int:
        """Readings of the fleet standing after a later one of their vehicle; of doubles the first counts."""
        disordered = 0
        for lane, places, keys in self.lanes():
            is_first_hand = ~np.isin(places, joined(self._replayed.get(lane, [])))
            disordered += self._disordered(places[is_first_hand], keys[is_first_hand])
        return disordered

    def _disordered(self, places: Ints, keys: Ints) -> int:
        keys = keys[np.argsort(places, kind="stable")]
        keys = keys[self._codes.is_fleet(keys)]
        keys = keys[first_of_each(keys)]
        by_vehicle = keys[np.argsort(vehicle_in(keys), kind="stable")]
        # Keys ascend by vehicle first: the highest so far is of the same vehicle, or below all of its keys.
        return int(np.count_nonzero(by_vehicle < np.maximum.accumulate(by_vehicle)))
