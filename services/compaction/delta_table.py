"""The Delta table of a stream: a thin adapter over delta-rs. Its log says how far each chain is compacted.

Exactly once by Delta's own means: with the files of a chain, the log gets that chain's next sequence number
as an application transaction, in one commit. Of two commits that know the same number one fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import structlog
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from services.compaction.statistics import indexed_columns
from services.compaction.table_commit import ChainCommit, NewFile, select_new_files
from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import NeedsAttention, SinkUnavailable

log = structlog.get_logger()

PARTITIONED_BY = ["date", "hour"]
_PARTITIONS = [pa.field("date", pa.date32()), pa.field("hour", pa.int32())]
_MAX_ATTEMPTS = 6


@contextmanager
def _map_errors(what: str) -> Iterator[None]:
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
        with _map_errors(f"read {self._uri}"):
            try:
                self._table = await asyncio.to_thread(DeltaTable, self._uri, storage_options=options)
            except TableNotFoundError:
                self._table = None

    @property
    def version(self) -> int | None:
        return None if self._table is None else self._table.version()

    async def positions(self, chains: Iterable[ChainKey]) -> dict[ChainKey, int]:
        """By chain, the sequence number from which on its rows are not in the table; absent: none are."""
        with _map_errors(f"read {self._uri}"):
            return await asyncio.to_thread(self._read_positions, tuple(chains))

    def _read_positions(self, chains: Iterable[ChainKey]) -> dict[ChainKey, int]:
        if self._table is None:
            return {}
        found = {chain: self._table.transaction_version(_application_id(chain)) for chain in chains}
        return {chain: position for chain, position in found.items() if position is not None}

    async def append(self, advances: Sequence[ChainCommit]) -> None:
        """Add the files and move their chains' positions on, both or neither.

        What another compaction was first with is left out.
        """
        for _ in range(_MAX_ATTEMPTS):
            if self._table is None:
                await self._create([file for advance in advances for file in advance.files])
            standing = await self.positions(advance.chain for advance in advances)
            news = {
                advance.chain: select_new_files(advance, standing.get(advance.chain)) for advance in advances
            }
            files = [file for of_chain in news.values() if of_chain is not None for file in of_chain]
            marks = [
                Transaction(_application_id(advance.chain), advance.end)
                for advance in advances
                if news[advance.chain] is not None
            ]
            if not marks or await self._try(files, marks):
                return
            await self.open()
        raise SinkUnavailable(f"{self._uri}: others were first {_MAX_ATTEMPTS} times")

    async def _try(self, files: Sequence[NewFile], marks: list[Transaction]) -> bool:
        """Whether the commit went well; where it did not, or nobody knows, the table has to be read again."""
        try:
            with _map_errors(f"append to {self._uri}"):
                await asyncio.to_thread(self._commit, files, marks)
        except CommitFailedError as error:
            log.info("commit_lost", table=self._uri, reason=str(error).partition("\n")[0])
            return False
        await self.open()
        return True

    def _commit(self, files: Sequence[NewFile], marks: list[Transaction]) -> None:
        if self._table is None:
            raise AssertionError("a table is made before it is appended to")
        if added := _find_new_columns(Schema.from_arrow(_unify_columns(files)), self._table.schema()):
            self._table.alter.add_columns(added)
        self._table.create_write_transaction(
            [_add_action(file) for file in files],
            "append",
            self._table.schema(),
            PARTITIONED_BY,
            commit_properties=CommitProperties(app_transactions=marks),
        )

    async def _create(self, files: Sequence[NewFile]) -> None:
        options = await self._options()
        columns = _unify_columns(files)
        schema = Schema.from_arrow(pa.schema([*columns, *_PARTITIONS]))
        try:
            with _map_errors(f"create {self._uri}"):
                await asyncio.to_thread(
                    DeltaTable.create,
                    self._uri,
                    schema,
                    mode="ignore",
                    partition_by=PARTITIONED_BY,
                    configuration={"delta.dataSkippingStatsColumns": ",".join(indexed_columns(columns))},
                    storage_options=options,
                )
        except CommitFailedError:
            log.info("table_made_by_another", table=self._uri)
        await self.open()


def _add_action(file: NewFile) -> AddAction:
    date, _, hour = hour_folder(file.hour).partition("/")
    values = {"date": date.removeprefix("date="), "hour": str(int(hour.removeprefix("hour=")))}
    modified_at_ms = int(file.modified_at_s * 1_000)
    return AddAction(file.path, file.size_bytes, values, modified_at_ms, True, file.statistics)


def _find_new_columns(wanted: Schema, known: Schema) -> list[Field]:
    """The columns that the table lacks; raises NeedsAttention where it has one of another type."""
    types = {field.name: field.type for field in known.fields}
    for field in wanted.fields:
        if types.get(field.name, field.type) != field.type:
            raise NeedsAttention(
                f"column {field.name} is {field.type} in new files, {types[field.name]} before"
            )
    return [field for field in wanted.fields if field.name not in types]


def _unify_columns(files: Sequence[NewFile]) -> pa.Schema:
    return pa.unify_schemas(list(dict.fromkeys(file.schema for file in files)) or [pa.schema([])])


def _application_id(chain: ChainKey) -> str:
    return f"fleetprice-compaction/{chain.stream}/{chain.label}"
