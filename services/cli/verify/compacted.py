"""Checks that the Delta tables hold every row of the raw files that they cover, exactly once and unchanged.

The log of a table gives, for each chain, the sequence number before which the table covers all events. The
rows of the table are compared with the rows of the raw files before that number, by place and by value.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from services.cli.verify.chain import ChainKey
from services.cli.verify.column_digests import ColumnDigests
from services.cli.verify.delta_log import UNREADABLE, Snapshot
from services.cli.verify.keys import Ints, join, make_place, sequence_of, to_ints
from services.cli.verify.raw_zone import RawZone
from shared.lake.client import Lake
from shared.lake.parquet import read_checked
from shared.service.errors import DamagedFile

_APPLICATION = "fleetprice-compaction"


class _Rows:
    """The places of rows, by partition, and the digests of their columns."""

    def __init__(self) -> None:
        self.places: dict[int, list[Ints]] = {}
        self.digests = ColumnDigests()

    def add(self, batch: pa.RecordBatch) -> None:
        partitions = to_ints(batch["partition"])
        found = make_place(to_ints(batch["sequence_number"]), to_ints(batch["line"]))
        for partition in np.unique(partitions):
            self.places.setdefault(int(partition), []).append(found[partitions == partition])
        self.digests.add(partitions, found, batch)


async def find_compacted_faults(lake: Lake) -> list[str]:
    """Return the faults of all streams' tables; an empty list if there are no tables."""
    tables = [item.path async for item in lake.list("compacted", recursive=False, directories=True)]
    return [fault for table in sorted(tables) for fault in await _find_faults(lake, table)]


async def _find_faults(lake: Lake, table: str) -> list[str]:
    stream = table.rpartition("/")[2]
    try:
        snapshot = await Snapshot.read(lake, table)  # before the raw files, which only grow in number
    except UNREADABLE as error:
        return [f"the log of {table} cannot be read, so its rows were not compared: {error}"]
    faults, held, covered = [], _Rows(), _Rows()
    for path in sorted(snapshot.files):
        try:
            data = await lake.read(f"{table}/{path}")
            rows = read_checked(data, f"{table}/{path}")
        except DamagedFile as error:
            faults.append(str(error))
            continue
        for batch in rows.to_batches():
            held.add(batch)
    async for slot, batch in RawZone(lake, stream).batches(None):
        end = snapshot.transactions.get(f"{_APPLICATION}/{stream}/{_label(slot.chain)}", 0)
        covered.add(batch.filter(pa.array(to_ints(batch["sequence_number"]) < end)))
    return [*faults, *_differences(table, held, covered)]


def _differences(table: str, held: _Rows, covered: _Rows) -> Iterator[str]:
    """Yield a sentence for each difference: rows that the table lacks or has too many, and other values.

    Rows are counted per place, because the chains of a re-created hub use the same places of a partition
    again.
    """
    for partition in sorted({*held.places, *covered.places}):
        have, times_held = np.unique(join(held.places.get(partition, [])), return_counts=True)
        want, times_covered = np.unique(join(covered.places.get(partition, [])), return_counts=True)
        every = np.union1d(have, want)
        balance = np.zeros(len(every), np.int64)
        balance[np.searchsorted(every, have)] += times_held
        balance[np.searchsorted(every, want)] -= times_covered
        if (lacking := -balance[balance < 0].sum()) > 0:
            first = sequence_of(every[balance < 0][0])
            yield f"{table} lacks {lacking} rows of partition {partition}, the first of event {first}"
        if (beyond := balance[balance > 0].sum()) > 0:
            first = sequence_of(every[balance > 0][0])
            yield f"{table} has {beyond} rows too many of partition {partition}, the first of event {first}"
        if not balance.any():
            for column in held.digests.find_differences(covered.digests, partition):
                yield f"{table} has other values of {column} than the raw files of partition {partition}"


def _label(chain: ChainKey) -> str:
    again = f"-g{chain.generation}" if chain.generation > 1 else ""
    return f"p{chain.partition:02d}{again}"
