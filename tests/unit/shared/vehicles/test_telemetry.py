import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec.arrow_bodies import write_stream
from shared.codec.body_decoder import ARROW, NDJSON, BodyDecoder
from shared.codec.record_batches import build_batch
from shared.contract.columns import READING
from shared.contract.reading import Reading
from shared.vehicles.drive_cycles import TRIP_S, drive_cycles
from shared.vehicles.fleet import draw_fleet
from shared.vehicles.market import read_shipped_market
from shared.vehicles.telemetry import Telemetry, to_batch, to_json, to_rows

AT = np.datetime64("2026-01-05T08:00:00", "us")
SOME = range(0, 400, 13)


def of_kind(telemetry, name):
    return np.flatnonzero(getattr(telemetry.fleet, name))


def at_once(telemetry, vehicles, reading_nos):
    return telemetry.columns(np.asarray(vehicles), np.asarray(reading_nos), np.full(len(vehicles), AT))


def to_readings(columns):
    """Return columns as the contract's own records."""
    return [Reading(**row) for row in to_rows(columns)]


def test_same_seed_same_readings(telemetry):
    """The same seed gives the same fleet and readings; another seed gives others."""
    market = read_shipped_market()
    vehicles, reading_nos = np.arange(50), np.arange(1, 51) * 1_000
    again, other = (Telemetry.from_fleet(draw_fleet(seed, 400, market)) for seed in (7, 8))
    first = to_json(at_once(telemetry, vehicles, reading_nos))
    assert to_json(at_once(again, vehicles, reading_nos)) == first
    assert not set(to_json(at_once(other, vehicles, reading_nos))) & set(first)


def test_vehicle_does_not_depend_on_the_fleet_size(telemetry):
    """A vehicle is the same in a small and in a large fleet."""
    small = Telemetry.from_fleet(draw_fleet(7, 10, read_shipped_market()))
    vehicles, reading_nos = np.arange(10), np.full(10, 12_345)
    assert to_json(at_once(small, vehicles, reading_nos)) == to_json(
        at_once(telemetry, vehicles, reading_nos)
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 399), st.integers(1, 10**8)), min_size=2, max_size=40), st.integers(0)
)
def test_reading_needs_none_before_it(telemetry, pairs, place):
    """Reading n is the same whether it is made alone or with others, in any order."""
    vehicles, reading_nos = map(np.array, zip(*pairs, strict=True))
    place %= len(pairs)
    alone = at_once(telemetry, vehicles[place : place + 1], reading_nos[place : place + 1])
    assert to_json(alone)[0] == to_json(at_once(telemetry, vehicles, reading_nos))[place]


@pytest.mark.parametrize("vehicle", SOME)
def test_odometer_is_the_integral_of_speed(drive, vehicle):
    """The odometer gains the distance driven at the reported speeds, per second and in total."""
    columns = drive(vehicle)
    speed_ms = columns["speed_kmh"] / 3.6
    driven_m = np.diff(columns["odometer_km"]) * 1_000
    integral_m = (speed_ms[1:] + speed_ms[:-1]) / 2
    assert np.all(driven_m >= 0)
    assert np.abs(driven_m - integral_m).max() < 1.01  # the odometer counts whole metres
    assert driven_m.sum() == pytest.approx(integral_m.sum(), abs=5)


@pytest.mark.parametrize("vehicle", SOME)
def test_acceleration_is_the_change_of_speed(drive, vehicle):
    """Acceleration is the gain of speed in the last second, and stays within a car's limits."""
    columns = drive(vehicle)
    gained_ms2 = np.diff(columns["speed_kmh"]) / 3.6
    assert np.abs(gained_ms2 - columns["acceleration_ms2"][1:]).max() < 0.005
    assert np.abs(columns["acceleration_ms2"]).max() < 2.5
    assert columns["speed_kmh"].max() < 145


@pytest.mark.parametrize("vehicle", SOME)
def test_position_moves_as_far_as_the_vehicle_drives(drive, vehicle):
    """The track on the map is as long as the odometer's distance, and the heading follows it."""
    columns = drive(vehicle)
    north_m = np.diff(columns["latitude"]) * 111_320
    east_m = np.diff(columns["longitude"]) * 111_320 * np.cos(np.radians(columns["latitude"][0]))
    moved_m = np.hypot(north_m, east_m)
    driven_m = np.diff(columns["odometer_km"]) * 1_000
    assert moved_m.sum() == pytest.approx(driven_m.sum(), rel=0.01)
    course_deg = np.degrees(np.arctan2(east_m, north_m)) % 360
    off_deg = np.abs((course_deg - columns["heading_deg"][1:] + 180) % 360 - 180)
    assert np.percentile(off_deg[driven_m > 10], 95) < 10


def test_a_late_reading_agrees_with_those_before_it(drive):
    """The distance at reading 10 million is the sum over the readings before it."""
    last, first = drive(3, 10_000_000, 1), drive(3, 10_000_000 - 20_000, 20_001)
    assert first["odometer_km"][-1] == last["odometer_km"][0]
    integral_km = np.trapezoid(first["speed_kmh"]) / 3_600
    assert first["odometer_km"][-1] - first["odometer_km"][0] == pytest.approx(integral_km, abs=0.01)


def test_mean_speed_is_that_of_traffic(telemetry):
    """Over many trips the mean speed of each vehicle is between 25 and 100 km/h."""
    reading_nos = np.array([1, 1 + 200 * TRIP_S])
    for vehicle in SOME:
        odometer_km = at_once(telemetry, [vehicle, vehicle], reading_nos)["odometer_km"]
        assert 25 < np.diff(odometer_km)[0] / (200 * TRIP_S / 3_600) < 100


def test_every_trip_of_a_style_is_equally_long():
    """The order of its micro-trips does not change the length of a trip, nor its ends at rest."""
    cycles = drive_cycles()
    assert cycles.speed_ms.shape[-1] == TRIP_S
    assert np.all(cycles.speed_ms[..., [0, -1]] == 0)
    assert np.allclose(cycles.distance_m[..., -1], cycles.trip_distance_m[:, None])


def test_electric_vehicle_has_no_engine(telemetry):
    """An electric vehicle reports its traction battery, but neither engine nor fuel."""
    electric = of_kind(telemetry, "is_electric")
    for reading in to_readings(at_once(telemetry, electric, np.full(len(electric), 4_321))):
        assert reading.fuel_type == "electric"
        assert 0 < reading.traction_battery_charge_pct <= 100
        assert reading.traction_battery_health_pct > 50
        assert reading.engine_speed_rpm is None
        assert reading.fuel_level_pct is None
        assert reading.engine_l is None
        assert reading.coolant_temperature_c is None


def test_combustion_engine_has_no_traction_battery(telemetry):
    """A combustion vehicle reports engine and fuel, but no traction battery; a hybrid reports both."""
    fleet = telemetry.fleet
    engines = np.flatnonzero(~fleet.is_electric)
    for vehicle, reading in zip(
        engines, to_readings(at_once(telemetry, engines, np.full(len(engines), 99))), strict=True
    ):
        assert 0 < reading.fuel_level_pct <= 100
        assert reading.coolant_temperature_c is not None
        assert (reading.traction_battery_charge_pct is not None) == bool(fleet.is_hybrid[vehicle])


def test_engine_turns_with_the_wheels(telemetry, drive):
    """A standing engine idles, a driving one stays within its limits, and fuel only falls between fills."""
    vehicle = int(np.flatnonzero(~telemetry.fleet.is_electric & ~telemetry.fleet.is_hybrid)[0])
    columns = drive(vehicle)
    rpm, speed_kmh = columns["engine_speed_rpm"], columns["speed_kmh"]
    assert rpm[speed_kmh == 0].min() > 700
    assert rpm[speed_kmh == 0].max() < 1_300
    assert rpm.max() < 4_500
    steps_pct = np.diff(columns["fuel_level_pct"])
    is_filled = steps_pct > 1
    assert np.all(steps_pct[~is_filled] <= 0.011)
    assert np.all(speed_kmh[1:][is_filled] == 0)


def test_engine_warms_up_within_a_trip(telemetry, drive):
    """The coolant ends a trip near its working temperature, and never exceeds it."""
    vehicle = int(np.flatnonzero(~telemetry.fleet.is_electric)[0])
    coolant_c = drive(vehicle)["coolant_temperature_c"]
    assert 85 < coolant_c.max() <= 90
    starts = np.flatnonzero(np.diff(coolant_c) < -5)
    assert len(starts) >= 3
    assert np.all(coolant_c[starts] > 85)


def test_tires_rise_with_temperature(drive):
    """Warm tyres have a higher pressure than cold ones, on all four wheels."""
    columns = drive(5)
    for wheel in ("front_left", "front_right", "rear_left", "rear_right"):
        kpa = columns[f"tire_pressure_{wheel}_kpa"]
        assert 5 < np.ptp(kpa) < 40
        assert 150 < kpa.min() < kpa.max() < 300


def test_faults_are_rare_and_service_comes_due(telemetry):
    """Few vehicles show a fault or are overdue for service, but some do."""
    vehicles = np.tile(np.arange(400), 50)
    reading_nos = np.repeat(np.arange(50) * 777_777 + 1, 400)
    columns = at_once(telemetry, vehicles, reading_nos)
    assert 0.0005 < (columns["dtc_count"] > 0).mean() < 0.02
    assert 0.002 < columns["is_service_due"].mean() < 0.1
    assert np.all(columns["is_service_due"] == (columns["distance_to_service_km"] <= 0))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 399), st.integers(1, 2**38)), min_size=1, max_size=60))
def test_every_reading_is_within_the_contract(telemetry, pairs):
    """At any reading number, a reading is within the contract's bounds, in JSON and in Arrow."""
    columns = at_once(telemetry, *map(np.array, zip(*pairs, strict=True)))
    decoder = BodyDecoder(READING)
    lines = decoder.decode(b"\n".join(to_json(columns)), NDJSON)
    batch = decoder.decode(write_stream(to_batch(columns)), ARROW)
    assert not lines.bad
    assert not batch.bad
    assert build_batch(READING, lines.records, lines.extras).equals(batch.batch)


def test_formats_agree(telemetry):
    """A reading is the same as the contract's record, as JSON and as an Arrow row."""
    columns = at_once(telemetry, np.arange(400), np.full(400, 5_000))
    readings = to_readings(columns)
    assert [msgspec.json.encode(reading) for reading in readings] == to_json(columns)
    assert build_batch(READING, readings, [None] * 400).select(READING.schema.names) == to_batch(columns)


def test_reading_at_is_kept_to_the_microsecond(telemetry):
    """The scheduled time is encoded to the microsecond."""
    at = np.datetime64("2026-03-01T12:00:00.123456", "us")
    columns = telemetry.columns(np.array([1]), np.array([2]), np.array([at]))
    assert b'"reading_at":"2026-03-01T12:00:00.123456Z"' in to_json(columns)[0]
