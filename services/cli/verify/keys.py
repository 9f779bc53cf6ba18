"""Readings and places as 64-bit integers, so that millions are compared by sorting arrays (pure)."""

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


def key_of(vehicle: Any, reading_no: Any) -> Any:
    """A reading's key, ascending by vehicle, then reading; integers or arrays of them."""
    return (vehicle << _READING_BITS) + reading_no


def place_of(sequence_number: Any, line: Any) -> Any:
    """Where a record stands in its partition, ascending by sequence number, then line."""
    return (sequence_number << _LINE_BITS) + line


def sequence_in(place: Any) -> Any:
    """The sequence number of a place."""
    return place >> _LINE_BITS


def vehicle_in(key: Any) -> Any:
    """The vehicle of a key."""
    return key >> _READING_BITS


class VehicleCodes:
    """A small integer per vehicle id, in order of appearance; those of the fleet are known as such."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._fleet: list[int] = []

    def code(self, vehicle_id: str) -> int:
        """The vehicle's integer."""
        code = self._codes.setdefault(vehicle_id, len(self._codes))
        if code >= _MAX_VEHICLES:
            raise NeedsAttention(f"verify tells at most {_MAX_VEHICLES} vehicles apart")
        return code

    def fleet_code(self, vehicle_id: str) -> int:
        """The integer of a vehicle of the fleet."""
        code = self.code(vehicle_id)
        self._fleet.append(code)
        return code

    def codes(self, ids: pa.Array) -> Ints:
        """Integers of a column of ids."""
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        known = np.array([self.code(one) for one in ids.dictionary.to_pylist()], np.int64)
        taken: Ints = known[ids.indices.to_numpy(zero_copy_only=False)]
        return taken

    def is_fleet(self, keys: Ints) -> npt.NDArray[np.bool_]:
        """Which keys are readings of the fleet's vehicles."""
        is_of_fleet = np.zeros(len(self._codes) + 1, np.bool_)
        is_of_fleet[self._fleet] = True
        return (keys >= 0) & is_of_fleet[np.where(keys >= 0, vehicle_in(keys), -1)]


def ints(values: pa.Array) -> Ints:
    """A column of integers, or of timestamps in microseconds."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us", tz=values.type.tz)).view(pa.int64())
    found: Ints = values.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return found


def joined(pieces: list[Ints]) -> Ints:
    """The pieces one after another; no pieces, no integers."""
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def first_of_each(values: Ints) -> Ints:
    """Ascending indices of where each value stands first."""
    indices: Ints = np.sort(np.unique(values, return_index=True)[1])
    return indices


def are_in(wanted: Ints, held: Ints) -> npt.NDArray[np.bool_]:
    """Which of `wanted` are in `held`, which is ascending."""
    if not len(held):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    found: npt.NDArray[np.bool_] = held[at] == wanted
    return found
