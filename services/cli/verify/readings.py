"""Finds missing, doubled and disordered readings among the raw rows, by key and place (pure)."""

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
    """Return the keys of the readings of a batch.

    The key is negative if the reading number is too large for a key, which no fleet's is.
    """
    numbers = to_ints(batch["reading_no"])
    return np.where(numbers <= MAX_READING_NO, make_key(codes.codes(batch["vehicle_id"]), numbers), -numbers)


class Readings:
    """The readings that landed, by chain, in the order of the chain's files."""

    def __init__(self, codes: VehicleCodes) -> None:
        self._codes = codes
        self._keys: dict[ChainKey, list[Ints]] = {}
        self._places: dict[ChainKey, list[Ints]] = {}
        self._replayed: dict[ChainKey, list[Ints]] = {}
        self._fleet_keys: Ints | None = None
        self.rows = 0

    def add(
        self, chain: ChainKey, batch: pa.RecordBatch, is_replay: npt.NDArray[np.bool_] | None = None
    ) -> Ints:
        """Add a batch with the key and place columns, and return the keys of its rows.

        `is_replay` marks replays of dead letters, which are left out when the order is checked.
        """
        self.rows += batch.num_rows
        keys = read_keys(batch, self._codes)
        self._keys.setdefault(chain, []).append(keys)
        places = make_place(to_ints(batch["sequence_number"]), to_ints(batch["line"]))
        self._places.setdefault(chain, []).append(places)
        if is_replay is not None and is_replay.any():
            self._replayed.setdefault(chain, []).append(places[is_replay])
        return keys

    def chains(self) -> Iterator[tuple[ChainKey, Ints, Ints]]:
        """Yield each chain with the places and the keys of its rows."""
        for chain, keys in sorted(self._keys.items()):
            yield chain, join(self._places[chain]), join(keys)

    def fleet_keys(self) -> Ints:
        """Return the keys of the fleet's vehicles, ascending, doubles included."""
        if self._fleet_keys is None:
            kept = [keys[self._codes.is_fleet(keys)] for _, _, keys in self.chains()]
            self._fleet_keys = np.sort(join(kept))
        return self._fleet_keys

    def find_missing(self, sent: Ints) -> Ints:
        """Return the keys of `sent` that did not land, in the order of `sent`."""
        return sent[~are_in(sent, self.fleet_keys())]

    def count_landed(self, keys: Ints) -> int:
        """Count those of `keys` that landed."""
        return int(np.count_nonzero(are_in(keys, self.fleet_keys())))

    def count_doubled(self) -> int:
        """Count the surplus rows.

        Each reading of the fleet may land once. Another sender may send a reading twice, but each of its
        records, by place, may land only once.
        """
        keys = self.fleet_keys()
        doubled = len(keys) - len(np.unique(keys))
        for _, places, keys in self.chains():
            others = places[~self._codes.is_fleet(keys)]
            doubled += len(others) - len(np.unique(others))
        return doubled

    def count_out_of_order(self) -> int:
        """Count the fleet's readings that come after a later reading of the same vehicle.

        Of a doubled reading only the first row counts. Replays of dead letters do not count.
        """
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
