from contextlib import asynccontextmanager

import pytest

from services.scorer.settings import ScorerSettings
from tests.support.scoring import Fleet, Live, Published, running


@pytest.fixture
def settings(world):
    return world.settings(ScorerSettings, http=False)


@pytest.fixture
def scorer(settings):
    """`async with scorer(**settings):` runs one."""
    return lambda **values: running(settings.model_copy(update=values))


@pytest.fixture
def fleet(settings):
    return Fleet(settings)


@pytest.fixture
async def published(settings):
    published = Published(settings)
    yield published
    await published.close()


@pytest.fixture(scope="module")
def run_live():
    """Return a context that serves the embedded Azure on a folder and runs a scorer against it."""

    @asynccontextmanager
    async def run(hub, storage, **values):
        settings = ScorerSettings(
            event_hubs=hub.connection_string,
            storage=storage.connection_string,
            balancing_interval_s=1.0,
            http=False,
            **values,
        )
        published = Published(settings)
        try:
            async with running(settings):
                yield Live(Fleet(settings), published)
        finally:
            await published.close()

    return run
