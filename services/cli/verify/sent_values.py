"""Compares the values of rows with what the fleet sent, computed again from the fleet's seed (pure).

Every field of a reading but its time is a function of seed, vehicle and reading number. The time is in the
simulator's record.
"""

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.cli.verify.fleet_record import FleetRecord
from services.cli.verify.keys import Ints, VehicleCodes, are_in, reading_no_of, to_ints, vehicle_of
from shared.contract.columns import READING
from shared.vehicles.fleet import draw_fleet
from shared.vehicles.market import read_shipped_market
from shared.vehicles.telemetry import DECIMALS, Telemetry, to_batch

_VEHICLE_ID = re.compile(r"s(\d+)-v(\d{6,})")
# Processors differ in the last bit of a sine: that may move a rounded value by one step, not by more.
_STEPS = 1.01
_MIN_FLEET = 1024

Mask = npt.NDArray[np.bool_]


class SentValues:
    """The values that the fleet sent.

    `faults` has a sentence for each column that differs in a file. `has_fleet` is whether any row is of a
    vehicle with an id as a fleet's vehicles have.
    """

    def __init__(self, codes: VehicleCodes, record: FleetRecord) -> None:
        self._codes = codes
        self._record = record
        self._telemetries: dict[int, Telemetry] = {}
        self._of_code: list[tuple[int, int]] = []
        self._market = read_shipped_market()
        self._unsent: Counter[str] = Counter()
        self.faults: list[str] = []
        self.has_fleet = False

    def check(self, source: str, batch: pa.RecordBatch, keys: Ints, is_replay: Mask) -> None:
        """Compare the fleet's rows of a batch with what the fleet sent.

        `source` names the batch in faults. Replays of dead letters are left out: they may be repaired.
        """
        seeds, vehicles = self._vehicles(keys)
        self.has_fleet |= bool((seeds >= 0).any())
        for seed in sorted(self._record.seeds & set(np.unique(seeds).tolist())):
            rows = np.flatnonzero((seeds == seed) & ~is_replay)
            instants, is_known = self._record.find_instants(keys[rows])
            if unsent := int(np.count_nonzero(~is_known)):
                self._unsent[source.partition("/p")[0]] += unsent
            rows, instants = rows[is_known], instants[is_known]
            if len(rows):
                self._compare(source, batch.take(pa.array(rows)), seed, vehicles[rows], keys[rows], instants)

    def unsent(self) -> Iterator[str]:
        """Yield a sentence for each folder with rows of the fleet that are not in the fleet's record."""
        for folder, rows in sorted(self._unsent.items()):
            yield f"{folder} holds {rows} readings of the fleet that its record does not name"

    def count_newer(self, keys: Ints) -> int:
        """Count the distinct readings of recorded fleets that the record does not name as acknowledged."""
        keys = np.unique(keys)
        is_of_fleet = np.isin(self._vehicles(keys)[0], sorted(self._record.seeds))
        return int(np.count_nonzero(is_of_fleet & ~are_in(keys, self._record.sent)))

    def _vehicles(self, keys: Ints) -> tuple[Ints, Ints]:
        """Return the seed and index of the vehicle of each key; seed -1 if the vehicle is not of a fleet."""
        for name in self._codes.names(len(self._of_code)):
            found = _VEHICLE_ID.fullmatch(name)
            self._of_code.append((int(found[1]), int(found[2])) if found else (-1, -1))
        table = np.array([*self._of_code, (-1, -1)], np.int64)
        chosen = table[np.where(keys >= 0, vehicle_of(keys), -1)]
        return chosen[:, 0], chosen[:, 1]

    def _compare(
        self, source: str, rows: pa.RecordBatch, seed: int, vehicles: Ints, keys: Ints, instants: Ints
    ) -> None:
        telemetry = self._telemetry(seed, 1 + int(vehicles.max()))
        sent = to_batch(telemetry.columns(vehicles, reading_no_of(keys), instants.astype("datetime64[us]")))
        for name in READING.schema.names:
            if name not in rows.schema.names:
                continue  # the columns of a file are compared with the contract
            held, wanted = rows[name], sent[name]
            if differing := np.flatnonzero(_differ(name, held, wanted)).tolist():
                row = differing[0]
                event = f"event {rows['sequence_number'][row]}, line {rows['line'][row]}"
                self.faults.append(
                    f"{source}: {name} differs from what was sent in {len(differing)} rows, the first "
                    f"at {event}: {held[row].as_py()!r} instead of {wanted[row].as_py()!r}"
                )

    def _telemetry(self, seed: int, vehicles: int) -> Telemetry:
        """Return a fleet of at least so many vehicles; a vehicle does not depend on the size of its fleet."""
        known = self._telemetries.get(seed)
        if known is None or len(known.fleet) < vehicles:
            size = max(_MIN_FLEET, 2 * vehicles if known else vehicles)
            known = self._telemetries[seed] = Telemetry.from_fleet(draw_fleet(seed, size, self._market))
        return known


def _differ(name: str, held: pa.Array, wanted: pa.Array) -> Mask:
    """Return a mask: True for each row in which the two columns differ. Two nulls are equal."""
    if pa.types.is_dictionary(held.type):
        held = held.cast(held.type.value_type)
    if pa.types.is_timestamp(wanted.type):
        held, wanted = pa.array(to_ints(held)), pa.array(to_ints(wanted))
    if held.type != wanted.type:
        held = held.cast(wanted.type)
    if name in DECIMALS:
        is_equal = pc.less_equal(pc.abs(pc.subtract(held, wanted)), _STEPS * 10.0 ** -DECIMALS[name])
    else:
        is_equal = pc.equal(held, wanted)
    both_null = pc.and_(pc.is_null(held), pc.is_null(wanted))
    found: Mask = pc.invert(pc.or_(pc.fill_null(is_equal, False), both_null)).to_numpy(zero_copy_only=False)
    return found
