"""Readings and places as 64-bit integers, so that millions can be compared as sorted arrays (pure)."""

from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.service.errors import NeedsAttention

Ints = npt.NDArray[np.int64]

_READING_BITS = 38
_LINE_BITS = 20
_MAX_VEHICLES = 1 << (63 - _READING_BITS)
MAX_READING_NO = (1 << _READING_BITS) - 1


def make_key(vehicle: Any, reading_no: Any) -> Any:
    """Return the key of a reading, for integers or for arrays of them.

    Keys sort by vehicle, then by reading number.
    """
    return (vehicle << _READING_BITS) + reading_no


def make_place(sequence_number: Any, line: Any) -> Any:
    """Return the place of a record in its partition, for integers or for arrays of them.

    Places sort by sequence number, then by line.
    """
    return (sequence_number << _LINE_BITS) + line


def sequence_of(place: Any) -> Any:
    """Return the sequence number of a place."""
    return place >> _LINE_BITS


def vehicle_of(key: Any) -> Any:
    """Return the vehicle's integer from a key."""
    return key >> _READING_BITS


def reading_no_of(key: Any) -> Any:
    """Return the reading number from a key."""
    return key & MAX_READING_NO


class VehicleCodes:
    """A small integer for each vehicle id, in order of first use. Vehicles of the fleet are marked."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._fleet: list[int] = []

    def code(self, vehicle_id: str) -> int:
        """Return a vehicle's integer. Raises NeedsAttention if there are too many vehicles."""
        code = self._codes.setdefault(vehicle_id, len(self._codes))
        if code >= _MAX_VEHICLES:
            raise NeedsAttention(f"verify can distinguish at most {_MAX_VEHICLES} vehicles")
        return code

    def fleet_code(self, vehicle_id: str) -> int:
        """Return a vehicle's integer, and mark the vehicle as one of the fleet."""
        code = self.code(vehicle_id)
        self._fleet.append(code)
        return code

    def names(self, first: int) -> list[str]:
        """Return the ids of the vehicles with the integer `first` or a higher one, in their order."""
        return list(islice(self._codes, first, None))

    def codes(self, ids: pa.Array) -> Ints:
        """Return the vehicles' integers for a column of vehicle ids."""
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        known = np.array([self.code(one) for one in ids.dictionary.to_pylist()], np.int64)
        found: Ints = known[ids.indices.to_numpy(zero_copy_only=False)]
        return found

    def is_fleet(self, keys: Ints) -> npt.NDArray[np.bool_]:
        """Return a mask: True for each key that is a reading of a vehicle of the fleet."""
        is_of_fleet = np.zeros(len(self._codes) + 1, np.bool_)
        is_of_fleet[self._fleet] = True
        return (keys >= 0) & is_of_fleet[np.where(keys >= 0, vehicle_of(keys), -1)]


def to_ints(values: pa.Array) -> Ints:
    """Convert a column of integers or timestamps to an array; timestamps become microseconds."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", tz=values.type.tz)).view(pa.int64())
    found: Ints = values.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return found


def join(pieces: list[Ints]) -> Ints:
    """Concatenate the pieces; an empty array if there are none."""
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def find_first(values: Ints) -> Ints:
    """Return, in ascending order, the index of the first occurrence of each distinct value."""
    indices: Ints = np.sort(np.unique(values, return_index=True)[1])
    return indices


def are_in(wanted: Ints, held: Ints) -> npt.NDArray[np.bool_]:
    """Return a mask: True for each value of `wanted` that is in `held`. `held` must be ascending."""
    if not len(held):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    found: npt.NDArray[np.bool_] = held[at] == wanted
    return found
