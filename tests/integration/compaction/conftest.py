import msgspec
import pytest

from services.compaction.__main__ import run_pass
from services.compaction.settings import CompactionSettings
from tests.support.compacting import Compacted


@pytest.fixture
def compacted(storage, tmp_path):
    return Compacted(tmp_path)


@pytest.fixture
def compact(storage, lake):
    """Run one pass over all streams; return the outcome of the first, or None if there is none."""

    async def one_pass(**values):
        settings = CompactionSettings(
            storage=storage.connection_string, as_json=True, **{"older_than_s": 0, **values}
        )
        outcomes = await run_pass(settings, lake)
        return msgspec.to_builtins(outcomes[0]) if outcomes else None

    return one_pass
