"""Readings of a fleet, as the simulator sends them."""

from shared.vehicles.fleet import draw_fleet
from shared.vehicles.market import read_shipped_market
from shared.vehicles.telemetry import Telemetry


def make_telemetry(seed: int = 7, size: int = 400) -> Telemetry:
    return Telemetry.from_fleet(draw_fleet(seed, size, read_shipped_market()))
