"""Reads every committed raw file of one stream, found by listing the lake: file by file, batch by batch."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence

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
from shared.contract.columns import Contract
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

    async def batches(
        self, needed: Sequence[str] | None = (), contract: Contract | None = None
    ) -> AsyncIterator[tuple[Slot, pa.RecordBatch]]:
        """Yield each batch with its file, in the order of the chain's files.

        A batch has the columns `needed` and the place columns. If `needed` is None, or a contract is given,
        it has all columns of the file; these are compared with the contract. Faults that are found are added
        to `faults`.
        """
        slots = await self._list()
        async for slot, data in _fetch(self._lake, slots):
            has_all = needed is None or contract is not None
            for batch in self._read(slot, data, [*(needed or ()), *PLACE_COLUMNS], contract, has_all=has_all):
                yield slot, batch
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

    def _read(
        self,
        slot: Slot,
        data: bytes | None,
        needed: Sequence[str],
        contract: Contract | None,
        *,
        has_all: bool,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a file, each page compared with its checksum if the file has them.

        If the file cannot be read further, that is a fault, and the rest of its rows count as missing.
        """
        rows, previous = 0, -1
        try:
            file, footer = _open(data, needed)
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            self.faults.append(f"{slot.path} cannot be read: {error}")
            return
        self.links.setdefault(slot.chain, []).append(Link(slot, footer))
        if contract is not None:
            self.faults.extend(f"{slot.path}: {fault}" for fault in _compare_columns(file, contract))
        batches = file.iter_batches(_BATCH_ROWS, columns=None if has_all else list(needed))
        while True:
            try:
                if (batch := next(batches, None)) is None:
                    break
                places = _read_places(slot, footer, batch)
            except (pa.ArrowException, OSError, ValueError) as error:
                self.faults.append(f"{slot.path} cannot be read: {error}")
                return
            if (np.diff(places, prepend=previous) <= 0).any():
                self.faults.append(f"{slot.path} is not in sequence")
            rows, previous = rows + batch.num_rows, int(places[-1]) if len(places) else previous
            yield batch
        if rows != footer.rows:
            self.faults.append(f"{slot.path} holds {rows} rows, its footer says {footer.rows}")


def _open(data: bytes | None, needed: Sequence[str]) -> tuple[pq.ParquetFile, Footer]:
    """Open a file and read its footer. Raises ValueError if one of the columns `needed` is missing."""
    source = pa.BufferReader(data or b"")
    repeated = [name for name in needed if name == "vehicle_id"]
    file = pq.ParquetFile(source, read_dictionary=repeated, page_checksum_verification=True)
    footer = Footer.from_metadata(file.metadata.metadata or {})
    if absent := set(needed) - set(file.schema_arrow.names):
        raise ValueError(f"it has no column {', '.join(sorted(absent))}")
    return file, footer


def _compare_columns(file: pq.ParquetFile, contract: Contract) -> Iterator[str]:
    """Yield a sentence for each column of the contract that the file lacks, or has with another type."""
    held = {column.name: column.type for column in file.schema_arrow}
    for column in contract.raw_schema:
        found = held.get(column.name)
        if found is None:
            yield f"the column {column.name} is missing"
        elif not _is_same(found, column.type):
            yield f"the column {column.name} is {found} instead of {column.type}"


def _is_same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a column has a type of the contract, whatever the names inside a list."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_list(found) and pa.types.is_list(wanted):
        return _is_same(found.value_type, wanted.value_type)
    return bool(found == wanted)


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
