"""Raw rows of readings as keys and places: the missing, doubled and disordered ones (pure)."""

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
    find_first,
    join,
    make_key,
    make_place,
    to_ints,
    vehicle_of,
)

KEY_COLUMNS = ("vehicle_id", "reading_no")


def read_keys(batch: pa.RecordBatch, codes: VehicleCodes) -> Ints:
    """Return the keys of a batch's readings; below 0 if a number is larger than any fleet's."""
    numbers = to_ints(batch["reading_no"])
    return np.where(numbers <= MAX_READING_NO, make_key(codes.codes(batch["vehicle_id"]), numbers), -numbers)


class Readings:
    """The readings that landed, by chain, in the order of the files."""

    def __init__(self, codes: VehicleCodes) -> None:
        self._codes = codes
        self._keys: dict[ChainKey, list[Ints]] = {}
        self._places: dict[ChainKey, list[Ints]] = {}
        self._replayed: dict[ChainKey, list[Ints]] = {}
        self._fleet_keys: Ints | None = None
        self.rows = 0

    def add(
        self, chain: ChainKey, batch: pa.RecordBatch, is_replay: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Add a batch with the key and place columns; replays of dead letters are not in order."""
        self.rows += batch.num_rows
        self._keys.setdefault(chain, []).append(read_keys(batch, self._codes))
        places = make_place(to_ints(batch["sequence_number"]), to_ints(batch["line"]))
        self._places.setdefault(chain, []).append(places)
        if is_replay is not None and is_replay.any():
            self._replayed.setdefault(chain, []).append(places[is_replay])

    def chains(self) -> Iterator[tuple[ChainKey, Ints, Ints]]:
        """Yield each chain with its places and keys."""
        for chain, keys in sorted(self._keys.items()):
            yield chain, join(self._places[chain]), join(keys)

    def fleet_keys(self) -> Ints:
        """Return the keys of the fleet's vehicles, ascending, doubles included."""
        if self._fleet_keys is None:
            kept = [keys[self._codes.is_fleet(keys)] for _, _, keys in self.chains()]
            self._fleet_keys = np.sort(join(kept))
        return self._fleet_keys

    def find_missing(self, sent: Ints) -> Ints:
        """Return those of `sent` (ascending) that did not land."""
        return sent[~are_in(sent, self.fleet_keys())]

    def count_landed(self, keys: Ints) -> int:
        """Count the `keys` that landed."""
        return int(np.count_nonzero(are_in(keys, self.fleet_keys())))

    def count_doubled(self) -> int:
        """Count the rows beyond one per reading of the fleet, and beyond one per place for other senders.

        Another sender may send a reading twice; but an event of its own must not land twice.
        """
        keys = self.fleet_keys()
        doubled = len(keys) - len(np.unique(keys))
        for _, places, keys in self.chains():
            others = places[~self._codes.is_fleet(keys)]
            doubled += len(others) - len(np.unique(others))
        return doubled

    def count_out_of_order(self) -> int:
        """Count the fleet's readings after a later one of their vehicle; of doubles the first counts."""
        disordered = 0
        for chain, places, keys in self.chains():
            is_original = ~np.isin(places, join(self._replayed.get(chain, [])))
            disordered += self._count_disordered(places[is_original], keys[is_original])
        return disordered

    def _count_disordered(self, places: Ints, keys: Ints) -> int:
        keys = keys[np.argsort(places, kind="stable")]
        keys = keys[self._codes.is_fleet(keys)]
        keys = keys[find_first(keys)]
        by_vehicle = keys[np.argsort(vehicle_of(keys), kind="stable")]
        # Keys ascend by vehicle first: the highest so far is of the same vehicle, or below all of its keys.
        return int(np.count_nonzero(by_vehicle < np.maximum.accumulate(by_vehicle)))
