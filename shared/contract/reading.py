"""A reading, version 1: one record of telemetry.

This class is the table: field → bounds, unit, VSS signal and factor. The JSON Schema, the Arrow schema and
docs/contract.md are generated from it. Signal names: COVESA Vehicle Signal Specification 6, below `Vehicle.`.
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from shared.contract.field_types import count, flag, signal, text, timestamp

_ENGINE = "Powertrain.CombustionEngine"
_TANK = "Powertrain.FuelSystem"
_PACK = "Powertrain.TractionBattery"
_PLACE = "CurrentLocation"
_ID = "VehicleIdentification"


def _tire(row: int, side: str) -> Meta:
    return signal("kPa", 0, 2000, f"Chassis.Axle.Row{row}.Wheel.{side}.Tire.Pressure")


VehicleId = Annotated[str, text(about="The vehicle; also the partition key", min_length=1)]
ReadingNo = Annotated[int, count(1, 2**53, about="Counts up by one per vehicle from 1")]
SchemaVersion = Annotated[int, count(1, 1000, about="Version of this record; absent means 1")]

Liters = Annotated[
    float, signal("l", 0, 20, f"{_ENGINE}.Displacement", about="Displacement", vss_unit="cm³", factor=0.001)
]
Odometer = Annotated[float, signal("km", 0, 4_294_967.295, "TraveledDistance", vss_unit="m", factor=0.001)]
RatedConsumption = Annotated[
    float, signal("l/100km", 0, 100, about="Type-approval consumption, not the measured average")
]
Transmission = Annotated[
    str, text("Powertrain.Transmission.Type", about="manual, automatic, semi-auto or other")
]
FuelType = Annotated[
    str, text(f"{_TANK}.SupportedFuelTypes", about="petrol, diesel, hybrid, electric or other")
]


# fmt: off: one line a field
class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One reading; its key is (vehicle_id, reading_no). A field that a vehicle does not report is None."""

    vehicle_id: VehicleId
    reading_no: ReadingNo
    reading_at: Annotated[datetime, timestamp("When the reading was scheduled")]
    schema_version: SchemaVersion = 1

    # The price model's inputs are in every reading.
    make: Annotated[str, text(f"{_ID}.Brand", min_length=1)]
    model: Annotated[str, text(f"{_ID}.Model", min_length=1)]
    year: Annotated[int, count(1886, 2100, f"{_ID}.Year")]
    transmission: Transmission | None = None
    fuel_type: FuelType | None = None
    engine_l: Liters | None = None
    odometer_km: Odometer | None = None
    rated_consumption_l_100km: RatedConsumption | None = None

    vin: Annotated[str, text(f"{_ID}.VIN", max_length=17)] | None = None
    powertrain_type: Annotated[str, text("Powertrain.Type")] | None = None
    speed_kmh: Annotated[float, signal("km/h", 0, 400, "Speed")] | None = None
    acceleration_ms2: Annotated[float, signal("m/s²", -50, 50, "Acceleration.Longitudinal")] | None = None
    latitude: Annotated[float, signal("degrees", -90, 90, f"{_PLACE}.Latitude")] | None = None
    longitude: Annotated[float, signal("degrees", -180, 180, f"{_PLACE}.Longitude")] | None = None
    heading_deg: Annotated[float, signal("degrees", 0, 360, f"{_PLACE}.Heading")] | None = None
    altitude_m: Annotated[float, signal("m", -500, 10_000, f"{_PLACE}.Altitude")] | None = None
    engine_speed_rpm: Annotated[float, signal("rpm", 0, 20_000, f"{_ENGINE}.Speed")] | None = None
    coolant_temperature_c: (
        Annotated[float, signal("°C", -60, 200, f"{_ENGINE}.EngineCoolant.Temperature")] | None
    ) = None
    oil_temperature_c: Annotated[float, signal("°C", -60, 250, f"{_ENGINE}.EngineOil.Temperature")] | None = (
        None
    )
    engine_hours_h: Annotated[float, signal("h", 0, 1_000_000, f"{_ENGINE}.EngineHours")] | None = None
    fuel_level_pct: Annotated[float, signal("%", 0, 100, f"{_TANK}.RelativeLevel")] | None = None
    average_consumption_l_100km: (
        Annotated[float, signal("l/100km", 0, 200, f"{_TANK}.AverageConsumption")] | None
    ) = None
    traction_battery_health_pct: Annotated[float, signal("%", 0, 100, f"{_PACK}.StateOfHealth")] | None = None
    traction_battery_charge_pct: (
        Annotated[float, signal("%", 0, 100, f"{_PACK}.StateOfCharge.Displayed")] | None
    ) = None
    low_voltage_battery_v: Annotated[float, signal("V", 0, 60, "LowVoltageBattery.CurrentVoltage")] | None = (
        None
    )
    dtc_count: Annotated[int, count(0, 255, "Diagnostics.DTCCount")] | None = None
    distance_to_service_km: Annotated[float, signal("km", -1e6, 1e6, "Service.DistanceToService")] | None = (
        None
    )
    is_service_due: Annotated[bool, flag("Service.IsServiceDue")] | None = None
    air_temperature_c: Annotated[float, signal("°C", -90, 80, "Exterior.AirTemperature")] | None = None
    tire_pressure_front_left_kpa: Annotated[float, _tire(1, "Left")] | None = None
    tire_pressure_front_right_kpa: Annotated[float, _tire(1, "Right")] | None = None
    tire_pressure_rear_left_kpa: Annotated[float, _tire(2, "Left")] | None = None
    tire_pressure_rear_right_kpa: Annotated[float, _tire(2, "Right")] | None = None
