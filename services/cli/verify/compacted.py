"""Whether the Delta tables hold every row of the raw files that they cover, once.

Only how far each chain is covered is taken from the table's log; the rows are read back from both sides.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.verify.chain import ChainKey
from services.cli.verify.delta_log import Snapshot
from services.cli.verify.keys import Ints, ints, joined, place_of, sequence_in
from services.cli.verify.raw_zone import PLACE_COLUMNS, RawZone
from shared.lake.client import Lake

_APPLICATION = "fleetprice-compaction"

Places = dict[int, list[Ints]]


async def compacted_faults(lake: Lake) -> list[str]:
    """What is wrong with any stream's table; nothing where there is none."""
    tables = [item.path async for item in lake.list("compacted", recursive=False, directories=True)]
    return [fault for table in sorted(tables) for fault in await _faults(lake, table)]


async def _faults(lake: Lake, table: str) -> list[str]:
    stream = table.rpartition("/")[2]
    snapshot = await Snapshot.read(lake, table)  # before the raw files: those only become more
    faults, held, covered = [], Places(), Places()
    for path in sorted(snapshot.files):
        try:
            data = await lake.read(f"{table}/{path}")
            rows = pq.read_table(pa.BufferReader(data or b""), columns=list(PLACE_COLUMNS))
        except (pa.ArrowException, OSError, KeyError) as error:
            faults.append(f"{table}/{path} cannot be read: {error}")
            continue
        for batch in rows.to_batches():
            _add(held, batch)
    async for lane, batch in RawZone(lake, stream).batches(()):
        end = snapshot.transactions.get(f"{_APPLICATION}/{stream}/{_label(lane)}", 0)
        _add(covered, batch.filter(pa.array(ints(batch["sequence_number"]) < end)))
    return [*faults, *_differences(table, held, covered)]


def _add(places: Places, batch: pa.RecordBatch) -> None:
    partitions = ints(batch["partition"])
    found = place_of(ints(batch["sequence_number"]), ints(batch["line"]))
    for partition in np.unique(partitions):
        places.setdefault(int(partition), []).append(found[partitions == partition])


def _differences(table: str, held: Places, covered: Places) -> Iterator[str]:
    """Chains of re-created hubs share a partition's places: each place is counted."""
    for partition in sorted({*held, *covered}):
        have, times_held = np.unique(joined(held.get(partition, [])), return_counts=True)
        want, times_covered = np.unique(joined(covered.get(partition, [])), return_counts=True)
        every = np.union1d(have, want)
        balance = np.zeros(len(every), np.int64)
        balance[np.searchsorted(every, have)] += times_held
        balance[np.searchsorted(every, want)] -= times_covered
        if (lacking := -balance[balance < 0].sum()) > 0:
            first = sequence_in(every[balance < 0][0])
            yield f"{table} lacks {lacking} rows of partition {partition}, the first of event {first}"
        if (beyond := balance[balance > 0].sum()) > 0:
            first = sequence_in(every[balance > 0][0])
            yield f"{table} has {beyond} rows too many of partition {partition}, the first of event {first}"


def _label(lane: ChainKey) -> str:
    again = f"-g{lane.generation}" if lane.generation > 1 else ""
    return f"p{lane.partition:02d}{again}"
