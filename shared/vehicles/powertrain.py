"""The powertrain of a vehicle: engine speed, temperatures, hours, fuel and traction battery. Pure.

Everything follows from the motion: the level of a tank from the distance and time since the first reading, a
temperature from the second of the trip, the engine's speed from the road speed and the gear for that speed.
If a vehicle lacks a part, the values of that part are NaN.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.vehicles.drive_cycles import TRIP_S
from shared.vehicles.fleet import SNAPSHOT_YEAR, Fleet, Trait
from shared.vehicles.hash_random import Floats, Ints, uniform
from shared.vehicles.motion import Motion

_GEAR_FROM_KMH = np.array([0.0, 15.0, 31.0, 49.0, 68.0, 92.0])
_RPM_PER_KMH = np.array([120.0, 72.0, 49.0, 37.5, 30.0, 25.0])
_PETROL_IDLE_RPM, _DIESEL_IDLE_RPM, _COLD_IDLE_RPM = 780.0, 820.0, 350.0
_DIESEL_GEARING = 0.8
_HYBRID_ENGINE_FROM_KMH = 28.0

_COOLANT_WARM_C, _COOLANT_WARM_UP_S = 90.0, 260.0
_OIL_WARM_C, _OIL_WARM_UP_S = 98.0, 480.0
_DRIVING_HOURS_PER_KM = 1 / 38
_HOURS_COUNTED_TO = 999_999.0

_REAL_OVER_RATED = 1.18
_FALLBACK_L_100KM, _FALLBACK_ENGINE_L = 6.0, 1.5
_IDLE_L_PER_S = 0.12e-3  # and a litre of displacement
_SMALLEST_TANK_L, _TANK_SPREAD_L = 40.0, 20.0
_SHARE_USED_BETWEEN_FILLS = 0.65

_SMALLEST_PACK_KWH, _PACK_SPREAD_KWH = 38.0, 30.0
_KWH_100KM, _AUXILIARY_KW = 16.0, 0.6
_MASS_KG, _J_PER_KWH, _RECOVERED = 1700.0, 3.6e6, 0.65
_HYBRID_CHARGE_PCT, _HYBRID_SWING_PCT, _HYBRID_PACK_KWH = 62.0, 9.0, 1.3
_FADE_PCT_PER_YEAR, _FADE_PCT_PER_1000_KM, _MIN_HEALTH_PCT = 0.9, 0.035, 70.0


@dataclass(frozen=True, slots=True)
class PowertrainState:
    """Powertrain states: columns with one entry per reading. NaN means that the vehicle lacks the part."""

    engine_speed_rpm: Floats
    coolant_temperature_c: Floats
    oil_temperature_c: Floats
    engine_hours_h: Floats
    fuel_level_pct: Floats
    average_consumption_l_100km: Floats
    traction_battery_health_pct: Floats
    traction_battery_charge_pct: Floats


@dataclass(frozen=True, slots=True)
class Powertrains:
    """The powertrains of a fleet: columns with one entry per vehicle.

    Energy is in litres, or in kWh if the vehicle is electric.
    """

    fleet: Fleet
    energy_per_m: Floats
    energy_per_s: Floats
    capacity: Floats
    first_use: Floats
    gearing: Floats
    idle_rpm: Floats

    @classmethod
    def from_fleet(cls, fleet: Fleet) -> Self:
        """Draw the powertrains of a fleet's vehicles."""
        thirst = 0.92 + 0.16 * fleet.draw(Trait.THIRST)
        rated = np.nan_to_num(fleet.rated_consumption_l_100km, nan=_FALLBACK_L_100KM)
        engine_l = np.nan_to_num(fleet.engine_l, nan=_FALLBACK_ENGINE_L)
        size = fleet.draw(Trait.TANK)
        per_100km = np.where(fleet.is_electric, _KWH_100KM, _REAL_OVER_RATED * rated) * thirst
        tank = _SMALLEST_TANK_L + _TANK_SPREAD_L * size
        pack = _SMALLEST_PACK_KWH + _PACK_SPREAD_KWH * size
        capacity = np.where(fleet.is_electric, pack, tank)
        return cls(
            fleet=fleet,
            energy_per_m=per_100km / 100_000,
            energy_per_s=np.where(fleet.is_electric, _AUXILIARY_KW / 3600, _IDLE_L_PER_S * engine_l),
            capacity=capacity,
            first_use=fleet.draw(Trait.TANK_START) * _SHARE_USED_BETWEEN_FILLS * capacity,
            gearing=np.where(fleet.is_diesel, _DIESEL_GEARING, 1.0),
            idle_rpm=np.where(fleet.is_diesel, _DIESEL_IDLE_RPM, _PETROL_IDLE_RPM),
        )

    def compute_states(
        self, vehicles: Ints, motion: Motion, air_c: Floats, odometer_km: Floats
    ) -> PowertrainState:
        """Return the powertrain states of vehicles; entry i of the result is the state of vehicles[i]."""
        is_electric, is_hybrid = self.fleet.is_electric[vehicles], self.fleet.is_hybrid[vehicles]
        soak = 0.6 * uniform(self.fleet.seed, Trait.SOAK, vehicles, motion.trip)
        coolant_c = _warm_up_c(motion, air_c, soak, _COOLANT_WARM_C, _COOLANT_WARM_UP_S)
        coldness = np.clip((_COOLANT_WARM_C - coolant_c) / _COOLANT_WARM_C, 0, 1)
        level_pct, kinetic_pct = self._level(vehicles, motion), self._kinetic_pct(vehicles, motion)
        first_hours_h = self.fleet.first_odometer_km[vehicles] * _DRIVING_HOURS_PER_KM
        hours_h = np.minimum(first_hours_h + motion.seconds / 3600, _HOURS_COUNTED_TO)
        has_engine, has_pack = ~is_electric, is_electric | is_hybrid
        return PowertrainState(
            engine_speed_rpm=_mask_missing(has_engine, self._engine_rpm(vehicles, motion, coldness)),
            coolant_temperature_c=_mask_missing(has_engine, coolant_c),
            oil_temperature_c=_mask_missing(
                has_engine, _warm_up_c(motion, air_c, soak, _OIL_WARM_C, _OIL_WARM_UP_S)
            ),
            engine_hours_h=_mask_missing(has_engine, hours_h),
            fuel_level_pct=_mask_missing(has_engine, level_pct),
            average_consumption_l_100km=_mask_missing(
                has_engine, self._average_consumption(vehicles, motion)
            ),
            traction_battery_health_pct=_mask_missing(has_pack, self._health_pct(vehicles, odometer_km)),
            traction_battery_charge_pct=_mask_missing(
                has_pack, np.where(is_hybrid, _hybrid_charge_pct(motion), level_pct) - kinetic_pct
            ),
        )

    def _engine_rpm(self, vehicles: Ints, motion: Motion, coldness: Floats) -> Floats:
        """Return the engine speed for the road speed and its gear, but at least the idle speed.

        A hybrid's engine stops (0 rpm) in slow traffic.
        """
        speed_kmh = motion.speed_ms * 3.6
        gear = np.searchsorted(_GEAR_FROM_KMH, speed_kmh, side="right") - 1
        idle_rpm = self.idle_rpm[vehicles] + _COLD_IDLE_RPM * coldness
        rpm = np.maximum(idle_rpm, speed_kmh * _RPM_PER_KMH[gear] * self.gearing[vehicles])
        is_resting = self.fleet.is_hybrid[vehicles] & (speed_kmh < _HYBRID_ENGINE_FROM_KMH)
        return np.where(is_resting, 0.0, rpm)

    def _level(self, vehicles: Ints, motion: Motion) -> Floats:
        """Return the percentage left in the tank, or in the battery pack if the vehicle is electric.

        The tank or pack is filled between two trips once enough is used.
        """
        per_m, per_s = self.energy_per_m[vehicles], self.energy_per_s[vehicles]
        used = self.first_use[vehicles] + per_m * motion.distance_m + per_s * motion.seconds
        since_trip_began = per_m * motion.trip_distance_m + per_s * motion.second_of_trip
        a_fill = _SHARE_USED_BETWEEN_FILLS * self.capacity[vehicles]
        fills = np.maximum(np.floor((used - since_trip_began) / a_fill), 0)
        return 100 * (1 - (used - fills * a_fill) / self.capacity[vehicles])

    def _kinetic_pct(self, vehicles: Ints, motion: Motion) -> Floats:
        """Return the battery charge in percent that braking would recover from the vehicle's motion."""
        pack_kwh = np.where(self.fleet.is_hybrid[vehicles], _HYBRID_PACK_KWH, self.capacity[vehicles])
        kinetic_kwh = _RECOVERED * _MASS_KG * motion.speed_ms**2 / 2 / _J_PER_KWH
        return 100 * kinetic_kwh / pack_kwh

    def _average_consumption(self, vehicles: Ints, motion: Motion) -> Floats:
        """Return the average consumption per 100 km over the current trip so far and the trip before."""
        distance_m = motion.last_trip_distance_m + motion.trip_distance_m
        length_s = TRIP_S + motion.second_of_trip
        used = self.energy_per_m[vehicles] * distance_m + self.energy_per_s[vehicles] * length_s
        return used / distance_m * 100_000

    def _health_pct(self, vehicles: Ints, odometer_km: Floats) -> Floats:
        age_years = SNAPSHOT_YEAR - self.fleet.year[vehicles]
        lost = _FADE_PCT_PER_YEAR * age_years + _FADE_PCT_PER_1000_KM * odometer_km / 1000
        return np.maximum(_MIN_HEALTH_PCT, 100 - lost)


def _hybrid_charge_pct(motion: Motion) -> Floats:
    return _HYBRID_CHARGE_PCT + _HYBRID_SWING_PCT * np.sin(motion.distance_m / 2_500)


def _warm_up_c(motion: Motion, air_c: Floats, soak: Floats, warm_c: float, warm_up_s: float) -> Floats:
    """Return a temperature that rises exponentially to `warm_c` during a trip.

    At the start of the trip the temperature is above the air's by the share `soak` of the difference to
    `warm_c`, the warmth left from the last trip.
    """
    start_c = air_c + soak * (warm_c - air_c)
    return warm_c - (warm_c - start_c) * np.exp(-motion.second_of_trip / warm_up_s)


def _mask_missing(has_part: NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(has_part, values, np.nan)
