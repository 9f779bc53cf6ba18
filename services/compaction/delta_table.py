"""The Delta table of a stream: a thin adapter over delta-rs.

The table's log records how far each chain is compacted. Delta itself makes this exactly once: one commit adds
the files of a chain and sets the chain's next sequence number as an application transaction. Of two commits
based on the same number, one fails.
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
from shared.service.errors import ContractChanged, SinkUnavailable

log = structlog.get_logger()

PARTITIONED_BY = ["date", "hour"]
_PARTITIONS = [pa.field("date", pa.date32()), pa.field("hour", pa.int32())]
_MAX_ATTEMPTS = 6


@contextmanager
def _map_errors(operation: str) -> Iterator[None]:
    try:
        yield
    except CommitFailedError:
        raise  # another commit was first, or the outcome is unknown: read the log again
    except (DeltaError, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise SinkUnavailable(f"{operation}: {first_line}") from error


class StreamTable:
    """The Delta table of one stream.

    `options` returns the storage account's options. It is called before each use, because tokens expire.
    """

    def __init__(self, uri: str, options: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._uri = uri
        self._options = options
        self._table: DeltaTable | None = None

    async def open(self) -> None:
        """Read the newest version of the table if the table exists; `append` creates a missing table."""
        options = await self._options()
        with _map_errors(f"read {self._uri}"):
            try:
                self._table = await asyncio.to_thread(DeltaTable, self._uri, storage_options=options)
            except TableNotFoundError:
                self._table = None

    @property
    def version(self) -> int | None:
        return None if self._table is None else self._table.version()

    async def read_positions(self, chains: Iterable[ChainKey]) -> dict[ChainKey, int]:
        """Return for each chain the first sequence number whose rows are not in the table.

        A chain with no rows in the table is absent.
        """
        with _map_errors(f"read {self._uri}"):
            return await asyncio.to_thread(self._read_positions, tuple(chains))

    def _read_positions(self, chains: Iterable[ChainKey]) -> dict[ChainKey, int]:
        if self._table is None:
            return {}
        found = {chain: self._table.transaction_version(_application_id(chain)) for chain in chains}
        return {chain: position for chain, position in found.items() if position is not None}

    async def append(self, commits: Sequence[ChainCommit]) -> None:
        """Add the commits' files and advance the positions of their chains in one atomic Delta commit.

        Leaves out files that another compaction has already added.
        """
        for _ in range(_MAX_ATTEMPTS):
            if self._table is None:
                await self._create([file for commit in commits for file in commit.files])
            positions = await self.read_positions(commit.chain for commit in commits)
            new_files = {
                commit.chain: select_new_files(commit, positions.get(commit.chain)) for commit in commits
            }
            files = [file for files_of_chain in new_files.values() for file in files_of_chain or ()]
            transactions = [
                Transaction(_application_id(commit.chain), commit.end)
                for commit in commits
                if new_files[commit.chain] is not None
            ]
            if not transactions or await self._try_commit(files, transactions):
                return
            await self.open()
        raise SinkUnavailable(f"{self._uri}: others were first {_MAX_ATTEMPTS} times")

    async def _try_commit(self, files: Sequence[NewFile], transactions: list[Transaction]) -> bool:
        """Try to commit and return whether the commit is known to have succeeded.

        After False the outcome may be unknown, so the caller must read the table again.
        """
        try:
            with _map_errors(f"append to {self._uri}"):
                await asyncio.to_thread(self._commit, files, transactions)
        except CommitFailedError as error:
            log.info("commit_lost", table=self._uri, reason=str(error).partition("\n")[0])
            return False
        await self.open()
        return True

    def _commit(self, files: Sequence[NewFile], transactions: list[Transaction]) -> None:
        if self._table is None:
            raise AssertionError("a table is created before files are added")
        if added := _find_new_columns(Schema.from_arrow(_unify_columns(files)), self._table.schema()):
            self._table.alter.add_columns(added)
        self._table.create_write_transaction(
            [_add_action(file) for file in files],
            "append",
            self._table.schema(),
            PARTITIONED_BY,
            commit_properties=CommitProperties(app_transactions=transactions),
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
            log.info("table_created_by_another", table=self._uri)
        await self.open()


def _add_action(file: NewFile) -> AddAction:
    date, _, hour = hour_folder(file.hour).partition("/")
    values = {"date": date.removeprefix("date="), "hour": str(int(hour.removeprefix("hour=")))}
    modified_at_ms = int(file.modified_at_s * 1_000)
    return AddAction(file.path, file.size_bytes, values, modified_at_ms, True, file.statistics)


def _find_new_columns(wanted: Schema, known: Schema) -> list[Field]:
    """Return the columns that the table lacks.

    Raises ContractChanged if a column has another type in the table.
    """
    types = {field.name: field.type for field in known.fields}
    for field in wanted.fields:
        if types.get(field.name, field.type) != field.type:
            raise ContractChanged(
                f"column {field.name} is {field.type} in new files, {types[field.name]} before"
            )
    return [field for field in wanted.fields if field.name not in types]


def _unify_columns(files: Sequence[NewFile]) -> pa.Schema:
    schemas = {file.schema: file.path for file in files}
    try:
        return pa.unify_schemas(list(schemas) or [pa.schema([])])
    except pa.ArrowException as error:
        raise ContractChanged(f"{', '.join(schemas.values())} cannot be one table: {error}") from error


def _application_id(chain: ChainKey) -> str:
    return f"fleetprice-compaction/{chain.stream}/{chain.label}"
