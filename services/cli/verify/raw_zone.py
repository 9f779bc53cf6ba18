"""Reads every committed raw file of one stream, found by listing the lake: key columns only, file by file."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.verify.chain import (
    ChainKey,
    Footer,
    Link,
    Root,
    Slot,
    find_chain_faults,
    parse_root,
    parse_slot,
)
from services.cli.verify.keys import Ints, make_place, to_ints
from shared.lake.client import Lake

PLACE_COLUMNS = ("partition", "sequence_number", "line")
_FILES_AHEAD = 3
_BATCH_ROWS = 64 * 1024


class RawZone:
    """The chains of one stream. `links` and `faults` are complete once `batches` is exhausted."""

    def __init__(self, lake: Lake, stream: str) -> None:
        self._lake = lake
        self._stream = stream
        self._roots: dict[ChainKey, Root] = {}
        self._chains: set[ChainKey] = set()
        self.links: dict[ChainKey, list[Link]] = {}
        self.faults: list[str] = []

    @property
    def files(self) -> int:
        return sum(map(len, self.links.values()))

    def next_first(self, chain: ChainKey) -> int:
        """Return the first sequence number of the chain's next file; 0 if the chain has no file yet."""
        return max((link.footer.next_first for link in self.links.get(chain, ())), default=0)

    def newest(self, partition: int) -> ChainKey:
        """Return the newest chain of a partition, to which files of the current hub are added."""
        return max(
            (chain for chain in self._chains if chain.partition == partition), default=ChainKey(partition)
        )

    async def batches(self, columns: Sequence[str]) -> AsyncIterator[tuple[ChainKey, pa.RecordBatch]]:
        """Yield each batch with its chain, in the order of the chain's files.

        A batch has `columns` and the place columns. Faults that are found are added to `faults`.
        """
        slots = await self._list()
        async for slot, data in _fetch(self._lake, slots):
            for batch in self._read(slot, data, [*columns, *PLACE_COLUMNS]):
                yield slot.chain, batch
        for chain in sorted(self._chains):
            faults = find_chain_faults(chain, self._roots.get(chain), self.links.get(chain, ()))
            self.faults.extend(f"{self._stream} {fault}" for fault in faults)

    async def _list(self) -> list[Slot]:
        slots = []
        async for file in self._lake.list(f"raw/{self._stream}"):
            if slot := parse_slot(file.path):
                slots.append(slot)
            elif chain := parse_root(file.path):
                await self._note_root(chain, file.path)
            else:
                self.faults.append(f"{file.path} is no file of the raw zone")
        self._chains = {*self._roots, *(slot.chain for slot in slots)}
        return sorted(slots, key=lambda slot: (slot.chain, slot.first, slot.folder))

    async def _note_root(self, chain: ChainKey, path: str) -> None:
        try:
            self._roots[chain] = msgspec.json.decode(await self._lake.read(path) or b"", type=Root)
        except msgspec.MsgspecError as error:
            self.faults.append(f"{path} is no chain's root: {error}")

    def _read(self, slot: Slot, data: bytes | None, columns: Sequence[str]) -> list[pa.RecordBatch]:
        """Return the batches of a file.

        If the file cannot be read, that is a fault, and there are no batches, so that the rows count as
        missing.
        """
        try:
            repeated = [name for name in columns if name == "vehicle_id"]
            file = pq.ParquetFile(pa.BufferReader(data or b""), read_dictionary=repeated)
            footer = Footer.from_metadata(file.metadata.metadata or {})
            batches = list(file.iter_batches(_BATCH_ROWS, columns=list(columns)))
            places = [_read_places(slot, footer, batch.select(columns)) for batch in batches]
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            self.faults.append(f"{slot.path} cannot be read: {error}")
            return []
        self.links.setdefault(slot.chain, []).append(Link(slot, footer))
        rows = sum(batch.num_rows for batch in batches)
        if rows != footer.rows:
            self.faults.append(f"{slot.path} holds {rows} rows, its footer says {footer.rows}")
        if any((np.diff(one) <= 0).any() for one in places):
            self.faults.append(f"{slot.path} is not in sequence")
        return batches


def _read_places(slot: Slot, footer: Footer, batch: pa.RecordBatch) -> Ints:
    """Return the places of a batch. Raises ValueError if a row does not belong in the file."""
    sequences = to_ints(batch["sequence_number"])
    if (to_ints(batch["partition"]) != slot.chain.partition).any():
        raise ValueError(f"a row is not of {slot.chain}")
    if len(sequences) and not slot.first <= sequences.min() <= sequences.max() <= footer.last_seq:
        raise ValueError(f"a row is not of the events {slot.first} to {footer.last_seq}")
    places: Ints = make_place(sequences, to_ints(batch["line"]))
    return places


async def _fetch(lake: Lake, slots: Sequence[Slot]) -> AsyncIterator[tuple[Slot, bytes | None]]:
    """Yield the content of each file in order, while the next files are fetched in the background."""
    fetching: deque[tuple[Slot, asyncio.Task[bytes | None]]] = deque()
    try:
        for slot in slots:
            fetching.append((slot, asyncio.create_task(lake.read(slot.path))))
            if len(fetching) > _FILES_AHEAD:
                first, data = fetching.popleft()
                yield first, await data
        while fetching:
            first, data = fetching.popleft()
            yield first, await data
    finally:
        for _, task in fetching:
            task.cancel()
