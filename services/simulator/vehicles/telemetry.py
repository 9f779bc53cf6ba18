"""The readings of a fleet: any number of (vehicle, reading_no) pairs at once, as columns (pure).

Every field but reading_at is a function of (seed, vehicle, reading_no); see motion.py for how.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.simulator.vehicles.fleet import Fleet
from services.simulator.vehicles.hash_random import Ints
from services.simulator.vehicles.motion import Drivers
from services.simulator.vehicles.powertrain import Powertrains, PowertrainState
from services.simulator.vehicles.routes import Place, Routes
from services.simulator.vehicles.wear import Upkeep, UpkeepState
from shared.contract.columns import INSTANT, READING

Instants = NDArray[np.datetime64]
Columns = dict[str, NDArray[Any]]

# What the sensors resolve; fewer digits are also fewer bytes in every reading.
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
_ODOMETER_STOPS_AT_KM = 4_294_967.0  # VSS counts metres in 32 bits
_POWERTRAIN_TYPES = {"electric": "ELECTRIC", "hybrid": "HYBRID"}


@dataclass(frozen=True, slots=True, repr=False)
class Telemetry:
    """Makes readings of one fleet."""

    fleet: Fleet
    drivers: Drivers
    routes: Routes
    powertrains: Powertrains
    upkeep: Upkeep
    own: Columns

    @classmethod
    def of(cls, fleet: Fleet) -> Self:
        """The telemetry of a fleet."""
        return cls(
            fleet,
            Drivers.of(fleet),
            Routes.of(fleet),
            Powertrains.of(fleet),
            Upkeep.of(fleet),
            _own_columns(fleet),
        )

    def columns(self, vehicles: Ints, reading_nos: Ints, reading_at: Instants) -> Columns:
        """The contract's columns by name, one entry a reading; NaN is what a vehicle does not report."""
        motion = self.drivers.motion(vehicles, reading_nos)
        place = self.routes.places(vehicles, motion.distance_m)
        driven_km = self.fleet.first_odometer_km[vehicles] + motion.distance_m / 1000
        odometer_km = np.minimum(driven_km, _ODOMETER_STOPS_AT_KM)
        air_c = self.upkeep.air_c(vehicles, motion, place.altitude_m)
        powertrain = self.powertrains.states(vehicles, motion, air_c, odometer_km)
        upkeep = self.upkeep.states(vehicles, motion, air_c, odometer_km)
        made: Columns = {
            **{name: values[vehicles] for name, values in self.own.items()},
            "reading_no": reading_nos,
            "reading_at": reading_at,
            "odometer_km": odometer_km,
            "speed_kmh": motion.speed_ms * 3.6,
            "acceleration_ms2": motion.acceleration_ms2,
            "air_temperature_c": air_c,
            **_fields(place),
            **_fields(powertrain),
            **_fields(upkeep),
        }
        for name, decimals in DECIMALS.items():
            made[name] = np.round(made[name], decimals)
        return {name: made[name] for name in READING.schema.names if name in made}


def _fields(state: Place | PowertrainState | UpkeepState) -> Columns:
    return {field.name: getattr(state, field.name) for field in fields(state)}


def _own_columns(fleet: Fleet) -> Columns:
    """What stays the same over a vehicle's life."""
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
    """The contract's columns in Arrow; the schema version is its default."""
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
    """One dict a reading in the contract's order, without what the vehicle does not report."""
    names = tuple(columns)
    values = [_plain(column) for column in columns.values()]
    for row in zip(*values, strict=True):
        # NaN alone differs from itself.
        yield {name: value for name, value in zip(names, row, strict=True) if value == value}  # noqa: PLR0124


def _plain(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind == "M":
        instants: list[datetime] = column.tolist()
        return [instant.replace(tzinfo=UTC) for instant in instants]
    return list(column.tolist())


def to_json(columns: Columns) -> list[bytes]:
    """One JSON object a reading, as the contract's record encodes."""
    return list(map(msgspec.json.Encoder().encode, to_rows(columns)))
