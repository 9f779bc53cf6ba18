import numpy as np
import pytest

from tests.support.telemetry import make_telemetry

AT = np.datetime64("2026-01-05T08:00:00", "us")


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
