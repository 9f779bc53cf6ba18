"""The steps in the docs to erase a vehicle, run as they are written."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from services.cli.verify.compacted import find_compacted_faults
from services.compaction.storage_options import storage_options
from shared.lake.parquet import encode
from shared.lake.slots.footer import Footer
from tests.support.compacting import NOON, Chain

PAGE = Path(__file__).parents[3] / "docs" / "compaction.md"


def steps():
    """Return the program under "Erasing one vehicle"."""
    section = PAGE.read_text().partition("## Erasing one vehicle")[2]
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return "\n".join(line.removeprefix("   ") for line in program.splitlines())


async def erase_from_raw(lake, path, vehicle_id):
    data = await lake.read(path)
    table = pq.read_table(pa.BufferReader(data), partitioning=None)
    kept = table.filter(pc.not_equal(table["vehicle_id"], vehicle_id))
    footer = Footer.from_key_values(pq.read_metadata(pa.BufferReader(data)).metadata, path)
    await lake.write(path, encode(kept, replace(footer, rows=kept.num_rows)))


async def test_a_vehicle_is_erased(storage, lake, compact, compacted):
    """After the steps of the docs no file has the vehicle, and later passes do not restore it."""
    chains = [await Chain(lake, partition).begin() for partition in range(2)]
    for chain in chains:
        await chain.land(10, NOON + 1)
        await chain.land(10)
    await compact(older_than_s=3_600)  # the second hour is not closed yet
    for path in sorted(compacted.raw_bytes()):
        await erase_from_raw(lake, str(path.relative_to(compacted.root)), "v1")
    known = {
        "DeltaTable": DeltaTable,
        "options": storage_options(storage.connection_string, None),
        "vehicle_id": "v1",
    }
    await asyncio.to_thread(exec, steps(), known)
    await chains[0].land(10, NOON + 2)
    await compact()
    vehicles = [path for path in compacted.folder.rglob("*.parquet") if "v1" in vehicles_in(path)]
    assert vehicles == []
    assert await find_compacted_faults(lake) == []
    assert compacted.places().total() == 30


def vehicles_in(path):
    return set(pq.ParquetFile(path).read(["vehicle_id"])["vehicle_id"].to_pylist())
