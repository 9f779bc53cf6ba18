from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.contract.reading import Reading
from tests.support.verified_world import World, reading, served


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with served(tmp_path) as world:
        yield world


@pytest.fixture
async def at_rest(tmp_path: Path) -> Path:
    """The directory of a sound world that nothing serves any more."""
    async with served(tmp_path) as world:
        await world.make_sound()
    return tmp_path


@pytest.fixture
async def sound(world: World) -> World:
    await world.make_sound()
    return world


@pytest.fixture
def stranger() -> Reading:
    return reading(0, 1, vehicle_id="van")
