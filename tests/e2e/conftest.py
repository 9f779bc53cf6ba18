import pytest


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=3, help="How often each named point kills its process")


@pytest.fixture
def kills(request):
    return request.config.getoption("--kills")
