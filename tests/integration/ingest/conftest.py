import pytest

from tests.support.ingesting import Lake


@pytest.fixture
def lake(world):
    return Lake(world.data_dir)
