"""Every committed raw file of one stream, by way of the listing: key columns alone, file by file."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.verify.chain import ChainKey, Footer, Link, Root, Slot, chain_faults, root_lane, slot_in
from services.cli.verify.keys import Ints, ints, place_of
from shared.lake.client import Lake

PLACE_COLUMNS = ("partition", "sequence_number", "line")
_FILES_AHEAD = 3
_BATCH_ROWS = 64 * 1024


class RawZone:
    """The chains of one stream; `links` and `faults` are complete once `batches` is exhausted."""

    def __init__(self, lake: Lake, stream: str) -> None:
        self._lake = lake
        self._stream = stream
        self._roots: dict[ChainKey, Root] = {}
        self._lanes: set[ChainKey] = set()
        self.links: dict[ChainKey, list[Link]] = {}
        self.faults: list[str] = []

    @property
    def files(self) -> int:
        return sum(map(len, self.links.values()))

    def next_first(self, lane: ChainKey) -> int:
        """The sequence number that the lane's next file will start at."""
        return max((link.footer.next_first for link in self.links.get(lane, ())), default=0)

    def newest(self, partition: int) -> ChainKey:
        """The lane that the partition's hub of today fills."""
        return max((lane for lane in self._lanes if lane.partition == partition), default=ChainKey(partition))

    async def batches(self, columns: Sequence[str]) -> AsyncIterator[tuple[ChainKey, pa.RecordBatch]]:
        """`columns` and the place columns, in chain order lane by lane; what is wrong goes to `faults`."""
        slots = await self._listed()
        async for slot, data in _fetched(self._lake, slots):
            for batch in self._read(slot, data, [*columns, *PLACE_COLUMNS]):
                yield slot.lane, batch
        for lane in sorted(self._lanes):
            faults = chain_faults(lane, self._roots.get(lane), self.links.get(lane, ()))
            self.faults.extend(f"{self._stream} {fault}" for fault in faults)

    async def _listed(self) -> list[Slot]:
        slots = []
        async for file in self._lake.list(f"raw/{self._stream}"):
            if slot := slot_in(file.path):
                slots.append(slot)
            elif lane := root_lane(file.path):
                await self._note_root(lane, file.path)
            else:
                self.faults.append(f"{file.path} is no file of the raw zone")
        self._lanes = {*self._roots, *(slot.lane for slot in slots)}
        return sorted(slots, key=lambda slot: (slot.lane, slot.first, slot.folder))

    async def _note_root(self, lane: ChainKey, path: str) -> None:
        try:
            self._roots[lane] = msgspec.json.decode(await self._lake.read(path) or b"", type=Root)
        except msgspec.MsgspecError as error:
            self.faults.append(f"{path} is no chain's root: {error}")

    def _read(self, slot: Slot, data: bytes | None, columns: Sequence[str]) -> list[pa.RecordBatch]:
        """A file's batches; a file that cannot be read holds none, which its rows' absence will show."""
        try:
            repeated = [name for name in columns if name == "vehicle_id"]
            file = pq.ParquetFile(pa.BufferReader(data or b""), read_dictionary=repeated)
            footer = Footer.of(file.metadata.metadata or {})
            batches = list(file.iter_batches(_BATCH_ROWS, columns=list(columns)))
            places = [_places(slot, footer, batch.select(columns)) for batch in batches]
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            self.faults.append(f"{slot.path} cannot be read: {error}")
            return []
        self.links.setdefault(slot.lane, []).append(Link(slot, footer))
        rows = sum(batch.num_rows for batch in batches)
        if rows != footer.rows:
            self.faults.append(f"{slot.path} holds {rows} rows, its footer says {footer.rows}")
        if any((np.diff(one) <= 0).any() for one in places):
            self.faults.append(f"{slot.path} is not in sequence")
        return batches


def _places(slot: Slot, footer: Footer, batch: pa.RecordBatch) -> Ints:
    """The batch's places; raises ValueError for a row that does not belong into the file."""
    sequences = ints(batch["sequence_number"])
    if (ints(batch["partition"]) != slot.lane.partition).any():
        raise ValueError(f"a row is not of {slot.lane}")
    if len(sequences) and not slot.first <= sequences.min() <= sequences.max() <= footer.last_seq:
        raise ValueError(f"a row is not of the events {slot.first} to {footer.last_seq}")
    places: Ints = place_of(sequences, ints(batch["line"]))
    return places


async def _fetched(lake: Lake, slots: Sequence[Slot]) -> AsyncIterator[tuple[Slot, bytes | None]]:
    """The files' bytes in order, the next few on their way while one is dealt with."""
    ahead: deque[tuple[Slot, asyncio.Task[bytes | None]]] = deque()
    try:
        for slot in slots:
            ahead.append((slot, asyncio.create_task(lake.read(slot.path))))
            if len(ahead) > _FILES_AHEAD:
                first, data = ahead.popleft()
                yield first, await data
        while ahead:
            first, data = ahead.popleft()
            yield first, await data
    finally:
        for _, task in ahead:
            task.cancel()
