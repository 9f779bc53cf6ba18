"""Compaction against real storage."""

from tests.integration.compaction.conftest import NOON, Chain


async def test_small_files_become_one(lake, compact, compacted):
    """An hour of small files becomes one file, and the Delta table has each of their rows once."""
    chain = await Chain(lake).begin()
    for _ in range(5):
        await chain.land(20)
    await compact()
    assert compacted.files() == ["date=2026-03-01/hour=12/p00-00000000000000000000.parquet"]
    assert compacted.places() == compacted.raw_places()
    assert compacted.delta().version() == 1
    await compact()
    assert compacted.delta().version() == 1
    await chain.land(20, NOON + 5)
    await chain.land(0, NOON + 6)
    await chain.land(7)
    await compact()
    assert compacted.places() == compacted.raw_places()
