import pytest

from tests.support.telemetry import make_telemetry


@pytest.fixture(scope="session")
def telemetry():
    return make_telemetry()
