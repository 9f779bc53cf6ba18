"""The Delta table of a stream: a thin adapter over delta-rs. Its log says how far each chain is compacted.

Exactly once by Delta's own means: with the files of a chain, the log gets that chain's next sequence number
as an application transaction, in one commit. Of two commits that know the same number one fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import structlog
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from services.compaction.statistics import skipped_by
from shared.errors import SinkUnavailable
from shared.slot_chain.slot import Lane, folder_of

log = structlog.get_logger()

PARTITIONED_BY = ["date", "hour"]
_PARTITIONS = [pa.field("date", pa.date32()), pa.field("hour", pa.int32())]
_MOST_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class NewFile:
    """A compacted file that stands in the table's folder; its rows begin at event `first` or later."""

    lane: Lane
    hour: int
    first: int
    name: str
    size_bytes: int
    modified_at_s: float
    schema: pa.Schema
    statistics: str

    def action(self) -> AddAction:
        date, _, hour = folder_of(self.hour).partition("/")
        partition = {"date": date.removeprefix("date="), "hour": str(int(hour.removeprefix("hour=")))}
        return AddAction(
            f"{folder_of(self.hour)}/{self.name}",
            self.size_bytes,
            partition,
            int(self.modified_at_s * 1_000),
            True,
            self.statistics,
        )


@contextmanager
def _mapped(what: str) -> Iterator[None]:
    try:
        yield
    except CommitFailedError:
        raise  # another was first, or nobody knows: the log has to be read again
    except (DeltaError, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise SinkUnavailable(f"{what}: {first_line}") from error


class StreamTable:
    """One table; `options` name the account, asked for anew as credentials pass."""

    def __init__(self, uri: str, options: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._uri = uri
        self._options = options
        self._table: DeltaTable | None = None

    async def open(self) -> None:
        """Read the newest version; there is none before the first file."""
        options = await self._options()
        with _mapped(f"read {self._uri}"):
            try:
                self._table = await asyncio.to_thread(DeltaTable, self._uri, storage_options=options)
            except TableNotFoundError:
                self._table = None

    @property
    def version(self) -> int | None:
        return None if self._table is None else self._table.version()

    async def positions(self, lanes: Iterable[Lane]) -> dict[Lane, int]:
        """By chain, the sequence number from which on its rows are not in the table; absent: none are."""
        with _mapped(f"read {self._uri}"):
            return await asyncio.to_thread(self._read_positions, tuple(lanes))

    def _read_positions(self, lanes: Iterable[Lane]) -> dict[Lane, int]:
        if self._table is None:
            return {}
        found = {lane: self._table.transaction_version(_application(lane)) for lane in lanes}
        return {lane: position for lane, position in found.items() if position is not None}

    async def append(self, files: Sequence[NewFile], positions: Mapping[Lane, int]) -> None:
        """Add files, in chain order, and move their chains' positions on, both or neither.

        What another compaction was first with is left out.
        """
        for _ in range(_MOST_ATTEMPTS):
            if self._table is None:
                if not files:
                    return  # nothing but events without rows so far
                await self._create(files)
            standing = await self.positions(positions)
            news = [file for file in files if file.first >= standing.get(file.lane, 0)]
            further = {lane: at for lane, at in positions.items() if at > standing.get(lane, -1)}
            if not further or await self._try(news, further):
                return
            await self.open()
        raise SinkUnavailable(f"{self._uri}: others were first {_MOST_ATTEMPTS} times")

    async def _try(self, files: Sequence[NewFile], positions: Mapping[Lane, int]) -> bool:
        """Whether the commit went well; where it did not, or nobody knows, the table has to be read again."""
        try:
            await asyncio.to_thread(self._commit, files, positions)
        except CommitFailedError as error:
            log.info("commit_lost", table=self._uri, reason=str(error).partition("\n")[0])
            return False
        await self.open()
        return True

    def _commit(self, files: Sequence[NewFile], positions: Mapping[Lane, int]) -> None:
        table = self._opened()
        with _mapped(f"append to {self._uri}"):
            known = {field.name for field in table.schema().fields}
            wanted = Schema.from_arrow(_columns(files))
            if added := [field for field in wanted.fields if field.name not in known]:
                table.alter.add_columns(added)
            marks = [Transaction(_application(lane), at) for lane, at in positions.items()]
            table.create_write_transaction(
                [file.action() for file in files],
                "append",
                table.schema(),
                PARTITIONED_BY,
                commit_properties=CommitProperties(app_transactions=marks),
            )

    async def _create(self, files: Sequence[NewFile]) -> None:
        options = await self._options()
        schema_columns = _columns(files)
        schema = Schema.from_arrow(pa.schema([*schema_columns, *_PARTITIONS]))
        try:
            with _mapped(f"create {self._uri}"):
                await asyncio.to_thread(
                    DeltaTable.create,
                    self._uri,
                    schema,
                    mode="ignore",
                    partition_by=PARTITIONED_BY,
                    configuration={"delta.dataSkippingStatsColumns": ",".join(skipped_by(schema_columns))},
                    storage_options=options,
                )
        except CommitFailedError:
            log.info("table_made_by_another", table=self._uri)
        await self.open()

    def _opened(self) -> DeltaTable:
        if self._table is None:
            raise AssertionError("a table is made before it is appended to")
        return self._table


def _columns(files: Sequence[NewFile]) -> pa.Schema:
    return pa.unify_schemas(list({file.schema for file in files} or {pa.schema([])}))


def _application(lane: Lane) -> str:
    return f"fleetprice-compaction/{lane.stream}/{lane.label}"
