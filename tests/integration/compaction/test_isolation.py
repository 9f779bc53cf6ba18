"""What is wrong with one file, partition or stream never stops the compaction of the others."""

import asyncio

import pyarrow as pa
import pytest

from services.compaction.__main__ import run_pass, serve
from services.compaction.settings import CompactionSettings
from shared.service.errors import NeedsAttention
from tests.support.compacting import NOON, STREAM, Chain

FIRST = "date=2026-03-01/hour=12/p00-00000000000000000000.parquet"


@pytest.fixture
async def sound(lake):
    """Another partition than 0, and a stream before and behind telemetry, each with an hour of ten rows."""
    for stream, partition in ((STREAM, 1), ("a-stream", 0), ("workshop-visits", 0)):
        await (await Chain(lake, partition, stream=stream).begin()).land(10, NOON + 1)


@pytest.fixture
def settings(storage):
    return CompactionSettings(storage=storage.connection_string, as_json=True, older_than_s=0)


async def copied_in(lake, compacted):
    """A file of another hub."""
    chain = await Chain(lake).begin()
    chain.created_at = "2020-01-01T00:00:00Z"
    await chain.land(10)
    return "different hubs"


async def foreign_in_a_slot(lake, compacted):
    """A file that no compaction wrote, in a compacted file's slot."""
    chain = await Chain(lake).begin()
    await lake.write(f"compacted/{STREAM}/{FIRST}", await lake.read(await chain.land(10)))
    return "not written by a compaction"


async def no_parquet(lake, compacted):
    """A raw file that is no Parquet."""
    chain = await Chain(lake).begin()
    await lake.write(await chain.land(10), b"no Parquet at all")
    return "no readable Parquet"


async def flipped(lake, compacted):
    """A raw file with one changed byte in a page."""
    chain = await Chain(lake).begin()
    path = await chain.land(10)
    data = bytearray(await lake.read(path))
    data[data.index(b"Focus")] ^= 1
    await lake.write(path, bytes(data))
    return "damaged"


async def shortened(lake, compacted):
    """A raw file with fewer rows than its footer says."""
    chain = await Chain(lake).begin()
    data, path = chain.encoded(10), chain.key.slot(NOON, 0)
    await lake.write(path, data.replace(b"rows\x18\x0210", b"rows\x18\x0211"))
    return "holds 10 rows, its footer says 11"


async def bad_root(lake, compacted):
    """A root that cannot be read."""
    chain = await Chain(lake).begin()
    await chain.land(10)
    await lake.write(chain.key.root, b"{}")
    return "not a chain's root"


async def retyped(lake, compacted):
    """Files in one hour whose column was an integer first and a number later."""
    chain = await Chain(lake).begin()
    await chain.land(10)
    chain.cast = {"year": pa.float64()}
    await chain.land(10)
    return "cannot become one table"


async def retyped_later(lake, compacted):
    """A column that is an integer in the other partition."""
    await (await Chain(lake, cast={"year": pa.float64()}).begin()).land(10)
    return "year"


FAULTS = [copied_in, foreign_in_a_slot, no_parquet, flipped, shortened, bad_root, retyped, retyped_later]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_fault_stops_its_own_chain_alone(lake, compacted, sound, settings, fault):
    """All else of the stream and every other stream is compacted, and the report says why one is not."""
    message = await fault(lake, compacted)
    outcomes = {one.stream: one for one in await run_pass(settings, lake)}
    (reason,) = outcomes[STREAM].refused
    assert message in reason
    assert "p00-0" in reason or "p00.json" in reason or "year" in reason
    partition = 0 if fault is retyped_later else 1  # there the first partition makes the table
    assert [place for place in compacted.places().elements() if place[0] == partition] == [
        (partition, number) for number in range(10)
    ]
    for stream in ("a-stream", "workshop-visits"):
        assert (outcomes[stream].rows, outcomes[stream].refused) == (10, [])


async def test_a_bad_chain_ends_one_pass_with_code_2(lake, compacted, sound, settings, capsys):
    """The command compacts the rest, prints its report, and then says what a person must change."""
    await no_parquet(lake, compacted)
    with pytest.raises(NeedsAttention, match=f"{STREAM}: .*p00-0.* is no readable Parquet"):
        await serve(settings, asyncio.Event())
    assert '"workshop-visits","raw_files":1,"rows":10' in capsys.readouterr().out


async def test_a_damaged_log_stops_its_own_stream_alone(lake, compacted, sound, settings):
    """A table whose log cannot be read leaves the tables of the other streams alone."""
    await run_pass(settings, lake)
    await lake.write(f"compacted/{STREAM}/_delta_log/00000000000000000000.json", b"no json")
    await (await Chain(lake, 1, stream="workshop-visits", hour=NOON).begin()).land(10, NOON + 1)
    outcomes = {one.stream: one for one in await run_pass(settings, lake)}
    assert outcomes[STREAM].interrupted
    assert outcomes["workshop-visits"].rows == 10
