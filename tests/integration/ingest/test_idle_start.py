"""A start does not list every folder since a partition became idle."""

from contextlib import asynccontextmanager

import pyarrow as pa
import pytest

from shared.lake.client import Lake, open_lake
from shared.lake.parquet import encode
from shared.lake.slots.chain import find_heads
from shared.lake.slots.footer import Footer, Head
from shared.lake.slots.hints import clear_hints, read_hints, write_hint
from shared.lake.slots.root import create_root, root_at_hour
from shared.lake.slots.slot import ChainKey, hour_folder

HOUR, HOURS = 497_184, 60
IDLE, BUSY = ChainKey("telemetry", 0), ChainKey("telemetry", 1)


class ListingLake(Lake):
    """A lake that records its listings."""

    listed: list

    async def list(self, prefix, **options):
        self.listed.append(prefix)
        async for one in super().list(prefix, **options):
            yield one


async def put(lake, chain, hour, first, next_hour):
    says = Footer(first, first, "", first + 1, hour_folder(next_hour), 1, 0, 0, "a", "", 1, "then")
    await lake.write(chain.slot(hour, first), encode(pa.table({"x": [1]}), says))


@asynccontextmanager
async def years_later(world):
    """A lake where one partition wrote a file every hour and the other only at first."""
    async with open_lake(world.lake_connection) as opened:
        lake = ListingLake(opened._files)
        lake.listed = []
        roots = {
            chain: await create_root(lake, chain, root_at_hour("then", 0, HOUR)) for chain in (IDLE, BUSY)
        }
        await put(lake, IDLE, HOUR, 0, HOUR)
        for number in range(HOURS):
            await put(lake, BUSY, HOUR + number, number, HOUR + number + 1)
        lake.listed.clear()
        yield lake, roots


HEADS = {IDLE: Head(1, HOUR), BUSY: Head(HOURS, HOUR + HOURS)}


async def test_a_hint_spares_the_folders_since(world):
    """With both chains noted lately, a start lists a folder or two for each, not every hour since."""
    async with years_later(world) as (lake, roots):
        await write_hint(lake, IDLE, HOUR, None)
        await write_hint(lake, BUSY, HOUR + HOURS - 1, None)
        assert await find_heads(lake, "telemetry", roots) == HEADS
        assert len(lake.listed) <= 4


@pytest.mark.parametrize(
    "hour", [None, HOUR - 1, HOUR + 5, HOUR + HOURS + 9], ids=["none", "before", "behind", "ahead"]
)
async def test_a_hint_is_only_a_hint(world, hour):
    """With a hint missing, before the chain's root, far behind or ahead, the chains' ends are found."""
    async with years_later(world) as (lake, roots):
        if hour is not None:
            await write_hint(lake, IDLE, hour, None)
            await write_hint(lake, BUSY, hour, None)
        assert await find_heads(lake, "telemetry", roots) == HEADS


async def test_old_hints_are_cleared(world):
    """One hint a partition is kept, the newest, of whichever writer."""
    async with years_later(world) as (lake, _):
        for hour in (HOUR + 1, HOUR + 3, HOUR + 2):
            await write_hint(lake, BUSY, hour, None)
        await clear_hints(lake, "telemetry", {BUSY})
        assert await read_hints(lake, "telemetry") == {BUSY: HOUR + 3}
        assert len([file async for file in lake.list("_hints/raw/telemetry")]) == 1
