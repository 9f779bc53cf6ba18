import pytest

from tests.unit.shared.amqp.memory_peer import BEGIN, OPEN, SASL, World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def opened(world):
    """A connection with a session."""
    world.say(SASL, OPEN, BEGIN)
    return world
