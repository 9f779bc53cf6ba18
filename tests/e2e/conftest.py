import pytest


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=3, help="Number of kills at each failpoint")


@pytest.fixture
def kills(request):
    return request.config.getoption("--kills")
