import pytest

from shared.pricing.model import load_model
from shared.pricing.pricer import Pricer
from shared.registry.store import read_shipped


@pytest.fixture(scope="session")
def shipped():
    """The committed model's files."""
    return read_shipped(None)


@pytest.fixture(scope="session")
def pricer(shipped):
    return Pricer(load_model(shipped))
