import pytest

from services.scorer.model import load_model
from services.scorer.pricing import Pricer
from services.scorer.registry import read_shipped


@pytest.fixture(scope="session")
def shipped():
    """The committed model's files."""
    return read_shipped(None)


@pytest.fixture(scope="session")
def pricer(shipped):
    return Pricer(load_model(shipped))
