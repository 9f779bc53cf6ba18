"""Wear and weather: tyres, low-voltage battery, service, fault codes and air temperature. Pure."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.vehicles.fleet import Fleet, Trait
from shared.vehicles.hash_random import Floats, Ints, uniform
from shared.vehicles.motion import Motion

WHEELS = 4
_COLD_TIRE_KPA, _TIRE_SPREAD_KPA, _WHEEL_SPREAD_KPA = 215.0, 35.0, 8.0
_TIRES_WARM_BY_C, _TIRES_WARM_UP_S = 22.0, 900.0
_KELVIN, _REFERENCE_C = 273.15, 20.0
_LEAK_KPA, _INFLATED_EVERY_KM = 25.0, 6_000.0

_MEAN_AIR_C, _DAILY_SWING_C, _YEARLY_SWING_C, _REGION_C = 11.0, 4.5, 7.0, 4.0
_DAY_S, _YEAR_S = 86_400, 365 * 86_400
_LAPSE_C_PER_M = 0.0065

_ALTERNATOR_V, _CONVERTER_V, _COLD_BOOST_V = 13.9, 14.2, 0.5
_CRANKING_V, _CRANKING_S, _BOOST_S = 11.4, 2, 120.0

_SERVICE_KM, _LONG_SERVICE_KM, _MAX_OVERDUE_KM = 15_000.0, 30_000.0, 1_200.0
_TRIPS_PER_FAULT_DRAW, _FAULT_SHARE, _MAX_CODES = 16, 0.006, 3


@dataclass(frozen=True, slots=True)
class WearState:
    """Wear states: columns with one entry per reading."""

    tire_pressure_front_left_kpa: Floats
    tire_pressure_front_right_kpa: Floats
    tire_pressure_rear_left_kpa: Floats
    tire_pressure_rear_right_kpa: Floats
    low_voltage_battery_v: Floats
    dtc_count: Ints
    distance_to_service_km: Floats
    is_service_due: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Wear:
    """Climate, tyres and service habits of a fleet: columns with one entry per vehicle.

    `tire_kpa` and `leak_kpa` are indexed by [wheel, vehicle].
    """

    fleet: Fleet
    climate: Floats
    tire_kpa: Floats
    leak_kpa: Floats
    service_km: Floats
    overdue_km: Floats

    @classmethod
    def from_fleet(cls, fleet: Fleet) -> Self:
        """Draw the climate, tyres and service habits of the fleet's vehicles."""
        vehicles, wheels = np.arange(len(fleet)), np.arange(WHEELS)[:, None]
        own_kpa = _COLD_TIRE_KPA + _TIRE_SPREAD_KPA * fleet.draw(Trait.TIRES)
        wheel_kpa = _WHEEL_SPREAD_KPA * (uniform(fleet.seed, Trait.WHEEL, vehicles, wheels) - 0.5)
        habit = fleet.draw(Trait.SERVICE)
        service_km = np.where(habit < 0.5, _SERVICE_KM, _LONG_SERVICE_KM)  # noqa: PLR2004 - half of them
        return cls(
            fleet=fleet,
            climate=fleet.draw(Trait.CLIMATE),
            tire_kpa=own_kpa + wheel_kpa,
            leak_kpa=_LEAK_KPA * uniform(fleet.seed, Trait.LEAK, vehicles, wheels) ** 4,
            service_km=service_km,
            overdue_km=_MAX_OVERDUE_KM * habit,
        )

    def compute_air_c(self, vehicles: Ints, motion: Motion, altitude_m: Floats) -> Floats:
        """Return the air temperature at each reading.

        It is the mean of the vehicle's region plus a daily and a yearly wave, minus the effect of altitude.
        """
        climate = self.climate[vehicles]
        day = np.sin(2 * np.pi * (motion.seconds / _DAY_S + climate))
        year = np.sin(2 * np.pi * (motion.seconds / _YEAR_S + 7 * climate))
        mean_c = _MEAN_AIR_C + _REGION_C * (climate - 0.5)
        return mean_c + _DAILY_SWING_C * day + _YEARLY_SWING_C * year - _LAPSE_C_PER_M * altitude_m

    def compute_states(self, vehicles: Ints, motion: Motion, air_c: Floats, odometer_km: Floats) -> WearState:
        """Return the wear of vehicles; entry i of the result is the state of vehicles[i]."""
        tires_kpa = self._tires_kpa(vehicles, motion, air_c, odometer_km)
        to_service_km = np.round(self._distance_to_service_km(vehicles, odometer_km))
        return WearState(
            tire_pressure_front_left_kpa=tires_kpa[0],
            tire_pressure_front_right_kpa=tires_kpa[1],
            tire_pressure_rear_left_kpa=tires_kpa[2],
            tire_pressure_rear_right_kpa=tires_kpa[3],
            low_voltage_battery_v=self._low_voltage(vehicles, motion),
            dtc_count=self._dtc_count(vehicles, motion),
            distance_to_service_km=to_service_km,
            is_service_due=to_service_km <= 0,
        )

    def _tires_kpa(
        self, vehicles: Ints, motion: Motion, air_c: Floats, odometer_km: Floats
    ) -> tuple[Floats, ...]:
        """Return the tyre pressures of each wheel.

        Each tyre loses a little pressure per kilometre until it is inflated again; pressure rises with the
        tyre's temperature by the gas law.
        """
        tire_c = air_c + _TIRES_WARM_BY_C * (1 - np.exp(-motion.second_of_trip / _TIRES_WARM_UP_S))
        expansion = (tire_c + _KELVIN) / (_REFERENCE_C + _KELVIN)
        lost = odometer_km % _INFLATED_EVERY_KM / _INFLATED_EVERY_KM
        return tuple(
            (self.tire_kpa[wheel, vehicles] - self.leak_kpa[wheel, vehicles] * lost) * expansion
            for wheel in range(WHEELS)
        )

    def _low_voltage(self, vehicles: Ints, motion: Motion) -> Floats:
        """Return the voltage: low while the starter turns, then the alternator's, which is higher at first.

        In an electric vehicle a converter keeps the voltage constant.
        """
        charging = _ALTERNATOR_V + _COLD_BOOST_V * np.exp(-motion.second_of_trip / _BOOST_S)
        with_starter = np.where(motion.second_of_trip < _CRANKING_S, _CRANKING_V, charging)
        return np.where(self.fleet.is_electric[vehicles], _CONVERTER_V, with_starter)

    def _distance_to_service_km(self, vehicles: Ints, odometer_km: Floats) -> Floats:
        """Return the distance to the next service. It falls below 0 if the owner is late for the service."""
        service_km = self.service_km[vehicles]
        cycle_km = service_km + self.overdue_km[vehicles]
        return service_km - odometer_km % cycle_km

    def _dtc_count(self, vehicles: Ints, motion: Motion) -> Ints:
        """Return the number of fault codes: mostly 0, rarely a few, which then stay for several trips."""
        draw = uniform(self.fleet.seed, Trait.FAULT, vehicles, motion.trip // _TRIPS_PER_FAULT_DRAW)
        codes = 1 + (draw / _FAULT_SHARE * _MAX_CODES).astype(np.int64)
        return np.where(draw < _FAULT_SHARE, codes, 0)
