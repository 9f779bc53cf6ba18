"""A raw zone as ingest writes it, made by hand in real storage, and independent readers of the result."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from shared.contract.columns import READING
from shared.lake.parquet import encode
from shared.lake.slots.footer import Footer
from shared.lake.slots.root import Root
from shared.lake.slots.slot import ChainKey, hour_folder, parse_hour_folder
from tests.support.embedded_stack import PATIENCE_S

NOON = parse_hour_folder("date=2026-03-01/hour=12")


CREATED_AT = "2026-03-01T11:59:00Z"


STREAM = "telemetry"


def rows_of(partition, first, count, version=1):
    """Make `count` readings, one an event; those of version 2 have one column more."""
    schema = READING.raw_schema
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    numbers = list(range(first, first + count))
    known = {
        "vehicle_id": [f"v{partition}"] * count,
        "reading_no": [number + 1 for number in numbers],
        "reading_at": [at] * count,
        "schema_version": [version] * count,
        "make": ["Ford"] * count,
        "model": ["Focus"] * count,
        "year": [2019] * count,
        "partition": [partition] * count,
        "sequence_number": numbers,
        "offset": [str(number) for number in numbers],
        "line": [0] * count,
        "enqueued_at": [at] * count,
    }
    columns = [pa.array(known.get(field.name, [None] * count), field.type) for field in schema]
    table = pa.table(columns, schema=schema)
    return table if version == 1 else table.append_column("tyre_wear_pct", pa.array([1.5] * count))


class Chain:
    """One partition's chain, written file by file."""

    def __init__(
        self, lake, partition=0, hour=NOON, generation=1, created_at=CREATED_AT, stream=STREAM, cast=None
    ):
        self.lake = lake
        self.key = ChainKey(stream, partition, generation)
        self.cast = cast or {}  # columns that have another type than in the contract
        self.hour = hour
        self.dead_letter = ""
        self.next_first = 0
        self.created_at = created_at

    async def begin(self):
        root = Root(self.created_at, 0, hour_folder(self.hour))
        await self.lake.write(self.key.root, msgspec.json.encode(root))
        return self

    async def land(self, count, next_hour=None, *, version=1, gap=0):
        """Land a file of `count` rows; the next file goes to `next_hour`."""
        path = self.key.slot(self.hour, self.next_first)
        await self.lake.write(path, self.encoded(count, next_hour, version=version, gap=gap))
        self.next_first += count or gap
        self.hour = self.hour if next_hour is None else next_hour
        return path

    def encoded(self, count, next_hour=None, *, version=1, gap=0):
        """Return the file for the next slot."""
        next_first = self.next_first + (count or gap)
        footer = Footer(
            first_seq=self.next_first,
            last_seq=next_first - 1,
            last_offset="0",
            next_first=next_first,
            next_folder=hour_folder(self.hour if next_hour is None else next_hour),
            rows=count,
            bad=0,
            gap=gap,
            attempt="a",
            dead_letter=self.dead_letter,
            schema_version=version,
            created_at=self.created_at,
        )
        rows = rows_of(self.key.partition, self.next_first, count, version)
        for name, kind in self.cast.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(kind))
        return encode(rows, footer)


class Compacted:
    """The compacted files and their table, as any tool on the laptop reads them."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "storage" / "devstoreaccount1" / "lake"
        self.folder = self.root / "compacted" / STREAM

    def files(self):
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.glob("date=*/hour=*/*.parquet")
        )

    def delta(self):
        return DeltaTable(str(self.folder))

    def table(self):
        return self.delta().to_pyarrow_table()

    def places(self):
        """Count how often each raw row is in the Delta table."""
        table = self.table()
        return Counter(zip(table["partition"].to_pylist(), table["sequence_number"].to_pylist(), strict=True))

    def is_there(self):
        return DeltaTable.is_deltatable(str(self.folder))

    def raw_bytes(self):
        return {path: path.read_bytes() for path in self.root.glob("raw/**/*.parquet")}

    def raw_places(self):
        return self._places_in("raw")

    def file_places(self):
        """Count the rows of all compacted files, as a reader without Delta does."""
        return self._places_in("compacted")

    def _places_in(self, zone):
        found = Counter()
        for path in self.root.glob(f"{zone}/{STREAM}/date=*/hour=*/*.parquet"):
            table = pq.ParquetFile(path).read(["partition", "sequence_number"])
            found.update(
                zip(table["partition"].to_pylist(), table["sequence_number"].to_pylist(), strict=True)
            )
        return found


async def until(condition):
    """Wait until a condition holds that sends no signal."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - asked of a server, or of a disk
            await asyncio.sleep(0.02)
