import numpy as np
import pytest

from services.simulator.vehicles.fleet import draw_fleet
from services.simulator.vehicles.market import read_shipped_market
from services.simulator.vehicles.telemetry import Telemetry

AT = np.datetime64("2026-01-05T08:00:00", "us")


def make_telemetry(seed=7, size=400):
    return Telemetry.from_fleet(draw_fleet(seed, size, read_shipped_market()))


@pytest.fixture(scope="session")
def telemetry():
    return make_telemetry()


@pytest.fixture(scope="session")
def drive(telemetry):
    """Return the columns of one vehicle's consecutive readings."""

    def columns(vehicle, first=1, count=6_000):
        reading_nos = np.arange(first, first + count)
        at = AT + np.arange(count) * np.timedelta64(1, "s")
        return telemetry.columns(np.full(count, vehicle), reading_nos, at)

    return columns
