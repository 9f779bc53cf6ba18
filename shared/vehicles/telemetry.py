"""The readings of a fleet, as columns, for any number of (vehicle, reading_no) pairs at once. Pure.

Every field except reading_at is a function of (seed, vehicle, reading_no); motion.py explains how.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.contract.columns import INSTANT, READING
from shared.vehicles.fleet import Fleet
from shared.vehicles.hash_random import Ints
from shared.vehicles.motion import Drivers
from shared.vehicles.powertrain import Powertrains, PowertrainState
from shared.vehicles.routes import Position, Routes
from shared.vehicles.wear import Wear, WearState

Timestamps = NDArray[np.datetime64]
Columns = dict[str, NDArray[Any]]

# The resolution of the sensors; fewer digits also mean fewer bytes in every reading.
DECIMALS = {
    "odometer_km": 3,
    "speed_kmh": 2,
    "acceleration_ms2": 3,
    "latitude": 6,
    "longitude": 6,
    "heading_deg": 1,
    "altitude_m": 1,
    "engine_speed_rpm": 0,
    "coolant_temperature_c": 1,
    "oil_temperature_c": 1,
    "engine_hours_h": 3,
    "fuel_level_pct": 2,
    "average_consumption_l_100km": 2,
    "traction_battery_health_pct": 1,
    "traction_battery_charge_pct": 2,
    "low_voltage_battery_v": 2,
    "air_temperature_c": 1,
    "tire_pressure_front_left_kpa": 1,
    "tire_pressure_front_right_kpa": 1,
    "tire_pressure_rear_left_kpa": 1,
    "tire_pressure_rear_right_kpa": 1,
}
_MAX_ODOMETER_KM = 4_294_967.0  # VSS counts metres in 32 bits
_POWERTRAIN_TYPES = {"electric": "ELECTRIC", "hybrid": "HYBRID"}


@dataclass(frozen=True, slots=True, repr=False)
class Telemetry:
    """A generator of one fleet's readings."""

    fleet: Fleet
    drivers: Drivers
    routes: Routes
    powertrains: Powertrains
    wear: Wear
    constants: Columns

    @classmethod
    def from_fleet(cls, fleet: Fleet) -> Self:
        """Draw everything that the fleet's readings depend on: drivers, routes, powertrains and wear."""
        return cls(
            fleet,
            Drivers.from_fleet(fleet),
            Routes.from_fleet(fleet),
            Powertrains.from_fleet(fleet),
            Wear.from_fleet(fleet),
            _constant_columns(fleet),
        )

    def columns(self, vehicles: Ints, reading_nos: Ints, reading_at: Timestamps) -> Columns:
        """Return the contract's columns with one entry per reading.

        Entry i is reading reading_nos[i] of vehicles[i]. NaN means that the vehicle does not report the
        field.
        """
        motion = self.drivers.motion(vehicles, reading_nos)
        position = self.routes.compute_positions(vehicles, motion.distance_m)
        driven_km = self.fleet.first_odometer_km[vehicles] + motion.distance_m / 1000
        odometer_km = np.minimum(driven_km, _MAX_ODOMETER_KM)
        air_c = self.wear.compute_air_c(vehicles, motion, position.altitude_m)
        powertrain = self.powertrains.compute_states(vehicles, motion, air_c, odometer_km)
        wear = self.wear.compute_states(vehicles, motion, air_c, odometer_km)
        columns: Columns = {
            **{name: values[vehicles] for name, values in self.constants.items()},
            "reading_no": reading_nos,
            "reading_at": reading_at,
            "odometer_km": odometer_km,
            "speed_kmh": motion.speed_ms * 3.6,
            "acceleration_ms2": motion.acceleration_ms2,
            "air_temperature_c": air_c,
            **_to_columns(position),
            **_to_columns(powertrain),
            **_to_columns(wear),
        }
        for name, decimals in DECIMALS.items():
            columns[name] = np.round(columns[name], decimals)
        return {name: columns[name] for name in READING.schema.names if name in columns}


def _to_columns(state: Position | PowertrainState | WearState) -> Columns:
    return {field.name: getattr(state, field.name) for field in fields(state)}


def _constant_columns(fleet: Fleet) -> Columns:
    """Return the columns whose values never change for a vehicle, with one entry per vehicle."""
    kinds = [fleet.market[kind] for kind in fleet.kind]
    words: dict[str, list[str]] = {
        "vehicle_id": list(fleet.vehicle_ids),
        "make": [row.make for row in kinds],
        "model": [row.model for row in kinds],
        "transmission": [row.transmission for row in kinds],
        "fuel_type": [row.fuel_type for row in kinds],
        "vin": list(fleet.vins),
        "powertrain_type": [_POWERTRAIN_TYPES.get(row.fuel_type, "COMBUSTION") for row in kinds],
    }
    return {
        **{name: np.array(values, np.object_) for name, values in words.items()},
        "year": fleet.year,
        "engine_l": fleet.engine_l,
        "rated_consumption_l_100km": fleet.rated_consumption_l_100km,
    }


def to_batch(columns: Columns) -> pa.RecordBatch:
    """Convert columns to a record batch of the contract, with the contract's schema version in each row."""
    rows = len(columns["reading_no"])
    arrays = []
    for field in READING.schema:
        if field.name == "schema_version":
            arrays.append(pa.repeat(pa.scalar(READING.version, field.type), rows))
        elif field.type == INSTANT:
            arrays.append(pa.array(columns[field.name].astype(np.int64)).cast(field.type))
        else:
            values = columns[field.name]
            mask = np.isnan(values) if values.dtype.kind == "f" else None
            arrays.append(pa.array(values, field.type, mask=mask))
    return pa.record_batch(arrays, schema=READING.schema)


def to_rows(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield one dict per reading, with the fields in the contract's order. Unreported fields are left out."""
    names = tuple(columns)
    values = [_to_list(column) for column in columns.values()]
    for row in zip(*values, strict=True):
        # Only NaN differs from itself.
        yield {name: value for name, value in zip(names, row, strict=True) if value == value}  # noqa: PLR0124


def _to_list(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "M":
        times: list[datetime] = column.tolist()
        return [time.replace(tzinfo=UTC) for time in times]
    return list(column.tolist())


def to_json(columns: Columns) -> list[bytes]:
    """Encode one JSON object per reading, in the same form in which the contract's record is encoded."""
    return list(map(msgspec.json.Encoder().encode, to_rows(columns)))
