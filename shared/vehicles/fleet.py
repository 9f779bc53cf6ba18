"""The vehicles of a fleet, each a function of (seed, index) alone. Pure.

A vehicle does not depend on the size of the fleet: `s7-v000003` is the same car among 10 and among 100,000.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.vehicles.hash_random import Floats, Ints, uniform
from shared.vehicles.market import MarketRow

SNAPSHOT_YEAR = 2020.5  # the date of the market's data; odometers are of that date
_BRAND_NEW_YEARS = 0.5
_MEDIAN = 0.5
_MILEAGE_SPREAD = 0.45  # of the logarithm
_MAX_ODOMETER_KM = 350_000.0
_VIN_LETTERS = np.array(list("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"))
_VIN_RANDOM_LETTERS = 7


class Trait(IntEnum):
    """The purpose of a random draw. The trait is part of the draw's key, so that draws are independent."""

    KIND = 1
    YEAR = 2
    MILEAGE = 3
    MILEAGE_TAIL = 4
    STYLE = 5
    VIGOUR = 6
    FIRST_SECOND = 7
    TOWN = 8
    NORTH = 9
    EAST = 10
    ROUTE = 11
    ROUTE_LENGTH = 12
    TURN = 13
    HEIGHT = 14
    CLIMATE = 15
    TANK = 16
    TANK_START = 17
    THIRST = 18
    TIRES = 19
    WHEEL = 20
    LEAK = 21
    SERVICE = 22
    VIN = 23
    ORDERING = 24
    PACE = 25
    SOAK = 26
    FAULT = 27
    BAD_SHARE = 28
    BAD_KIND = 29


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet: columns with one entry per vehicle. `kind` is the index of the vehicle's row in `market`."""

    seed: int
    market: Sequence[MarketRow]
    vehicle_ids: tuple[str, ...]
    vins: tuple[str, ...]
    kind: Ints
    year: Ints
    engine_l: Floats
    rated_consumption_l_100km: Floats
    first_odometer_km: Floats
    is_electric: NDArray[np.bool_]
    is_hybrid: NDArray[np.bool_]
    is_diesel: NDArray[np.bool_]
    is_manual: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.kind)

    def draw(self, trait: Trait) -> Floats:
        """Draw a value in [0, 1) for each vehicle."""
        return uniform(self.seed, trait, np.arange(len(self)))


def vehicle_id(seed: int, index: int) -> str:
    return f"s{seed}-v{index:06d}"


def draw_fleet(seed: int, size: int, market: Sequence[MarketRow]) -> Fleet:
    """Draw the vehicles with index 0 to size - 1 of the fleet with this seed."""
    vehicles = np.arange(size, dtype=np.int64)
    weights = np.cumsum([row.weight for row in market], dtype=np.float64)
    kind = np.searchsorted(weights, uniform(seed, Trait.KIND, vehicles) * weights[-1], side="right")
    year = _draw_years(seed, vehicles, market, kind)
    fuels = np.array([row.fuel_type for row in market])[kind]
    gearboxes = np.array([row.transmission for row in market])[kind]
    annual_km = np.array([row.annual_km for row in market], np.float64)[kind]
    return Fleet(
        seed=seed,
        market=market,
        vehicle_ids=tuple(vehicle_id(seed, index) for index in range(size)),
        vins=_draw_vins(seed, vehicles),
        kind=kind.astype(np.int64),
        year=year,
        engine_l=_to_floats([row.engine_l for row in market])[kind],
        rated_consumption_l_100km=_to_floats([row.rated_consumption_l_100km for row in market])[kind],
        first_odometer_km=_draw_odometers(seed, vehicles, year, annual_km),
        is_electric=fuels == "electric",
        is_hybrid=fuels == "hybrid",
        is_diesel=fuels == "diesel",
        is_manual=gearboxes == "manual",
    )


def _to_floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _draw_years(seed: int, vehicles: Ints, market: Sequence[MarketRow], kind: Ints) -> Ints:
    """Draw years so that deciles 1, 5 and 9 are those of the vehicle's kind.

    Years are linear between these deciles, and are extrapolated beyond deciles 1 and 9.
    """
    low, middle, high = (
        np.array([row[place] for row in market], np.float64)[kind]
        for place in map(MarketRow._fields.index, ("year_low", "year_middle", "year_high"))
    )
    share = uniform(seed, Trait.YEAR, vehicles)
    lower_half = low + (middle - low) * (share - 0.1) / 0.4
    upper_half = middle + (high - middle) * (share - 0.5) / 0.4
    years = np.rint(np.where(share < _MEDIAN, lower_half, upper_half))
    return np.minimum(years, int(SNAPSHOT_YEAR)).astype(np.int64)


def _draw_odometers(seed: int, vehicles: Ints, year: Ints, annual_km: Floats) -> Floats:
    """Draw odometers in km, to whole metres: age times the kind's annual distance, times a random factor.

    The factor is log-normal (Box-Muller).
    """
    radius = np.sqrt(-2 * np.log(1 - uniform(seed, Trait.MILEAGE, vehicles)))
    normal = radius * np.cos(2 * np.pi * uniform(seed, Trait.MILEAGE_TAIL, vehicles))
    age_years = np.maximum(SNAPSHOT_YEAR - year, _BRAND_NEW_YEARS)
    odometer_km = annual_km * age_years * np.exp(_MILEAGE_SPREAD * normal)
    whole_meters: Floats = np.round(np.minimum(odometer_km, _MAX_ODOMETER_KM), 3)
    return whole_meters


def _draw_vins(seed: int, vehicles: Ints) -> tuple[str, ...]:
    """Draw VINs: 17 letters and digits without I, O and Q.

    The first letters belong to no real maker; the last six digits are the vehicle's index.
    """
    places = np.arange(_VIN_RANDOM_LETTERS)
    draws = uniform(seed, Trait.VIN, vehicles[:, None], places[None, :])
    letters = _VIN_LETTERS[(draws * len(_VIN_LETTERS)).astype(np.int64)]
    return tuple(f"XFP0{''.join(row)}{index % 1_000_000:06d}" for index, row in enumerate(letters))
