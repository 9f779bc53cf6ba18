"""The sweep of what broken-off commits left behind."""

from services.ingest.staging_sweep import sweep
from shared.lake.client import open_lake
from shared.lake.slots.slot import ChainKey
from tests.support.lake_files import HOUR


async def test_an_unreadable_slot_holds_up_no_other_attempt(world):
    """Letters whose slot cannot be read are kept, and every other broken-off commit is cleared away."""
    broken, sound = ChainKey("telemetry", 0), ChainKey("telemetry", 1)
    async with open_lake(world.lake_connection) as lake:
        for chain in (broken, sound):
            await lake.write(chain.staged(HOUR, 0, "a"), b"")
            await lake.write(chain.dead_letters(0, "a"), b"{}")
        await lake.write(broken.slot(HOUR, 0), b"no Parquet")
        assert await sweep(lake, "telemetry", {broken, sound}, 0.0) == 2
        assert [file.path async for file in lake.list("_staging/raw/telemetry")] == []
        letters = [file.path async for file in lake.list("dead-letters/telemetry")]
        assert letters == [broken.dead_letters(0, "a")]
