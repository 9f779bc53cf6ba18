"""The Delta table of a stream: a thin adapter over delta-rs.

The table's log records how far each chain is compacted. Delta itself makes this exactly once: one commit adds
the files of a chain and sets the chain's next sequence number as an application transaction. Of two commits
based on the same number, one fails.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pyarrow as pa
import structlog
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from services.compaction.statistics import indexed_columns
from services.compaction.table_commit import ChainCommit, NewFile, Replacement, select_new_files
from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import ContractChanged, SinkUnavailable

log = structlog.get_logger()

PARTITIONED_BY = ["date", "hour"]
_PARTITIONS = [pa.field("date", pa.date32()), pa.field("hour", pa.int32())]
_MAX_ATTEMPTS = 6
# The encodings that this release writes: 1 are those of docs/decisions/009-plain-parquet.md.
_ENCODINGS = 1


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

    def __init__(self, stream: str, uri: str, options: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._stream = stream
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
        is_new = self._table is None
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
            if not transactions:
                return
            # A new table has no file of an earlier release.
            renewed = [self._renewal] if is_new else []
            if await self._try_commit(partial(self._append, files, [*transactions, *renewed])):
                return
            await self.open()
        raise SinkUnavailable(f"{self._uri}: others were first {_MAX_ATTEMPTS} times")

    @property
    def _renewal(self) -> Transaction:
        return Transaction(f"fleetprice-compaction/{self._stream}/encodings", _ENCODINGS)

    async def is_renewed(self) -> bool:
        """Return whether no file of the table has encodings of an earlier release; True without a table.

        True also if another program upgraded the table: rows may then be deleted beside the files, so that no
        file can stand for another.
        """
        with _map_errors(f"read {self._uri}"):
            return await asyncio.to_thread(self._is_renewed)

    def _is_renewed(self) -> bool:
        if self._table is None or self._table.protocol().min_reader_version > 1:
            return True
        return (self._table.transaction_version(self._renewal.app_id) or 0) >= _ENCODINGS

    async def list_paths(self) -> list[str]:
        """Return the paths of the table's files, relative to its folder."""
        with _map_errors(f"read {self._uri}"):
            return await asyncio.to_thread(self._list_paths)

    def _list_paths(self) -> list[str]:
        if self._table is None:
            return []
        paths: list[str] = pa.table(self._table.get_add_actions(flatten=True))["path"].to_pylist()
        return sorted(paths)

    async def replace(self, replacements: Sequence[Replacement], *, is_last: bool) -> None:
        """Replace files of the table by others with the same rows; `is_last` records that all are renewed.

        Leaves out files that the table no longer has.
        """
        for _ in range(_MAX_ATTEMPTS):
            present = set(await self.list_paths())
            current = [one for one in replacements if one.path in present]
            if not current and not is_last:
                return
            if await self._try_commit(partial(self._replace, current, [self._renewal] if is_last else [])):
                return
            await self.open()
        raise SinkUnavailable(f"{self._uri}: others were first {_MAX_ATTEMPTS} times")

    async def _try_commit(self, commit: Callable[[], None]) -> bool:
        """Try to commit and return whether the commit is known to have succeeded.

        After False the outcome may be unknown, so the caller must read the table again.
        """
        try:
            with _map_errors(f"append to {self._uri}"):
                await asyncio.to_thread(commit)
        except CommitFailedError as error:
            log.info("commit_lost", table=self._uri, reason=str(error).partition("\n")[0])
            return False
        await self.open()
        return True

    def _append(self, files: Sequence[NewFile], transactions: list[Transaction]) -> None:
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

    def _replace(self, replacements: Sequence[Replacement], transactions: list[Transaction]) -> None:
        if self._table is None:
            raise AssertionError("a table without files has none to replace")
        now_ms = int(time.time() * 1_000)
        # Two rules of delta-rs would else let rows be there twice. It makes a commit again after one that
        # has merged the removed files: so this one has no retry. And an OPTIMIZE that began before is only
        # refused if the removals count as changes of data.
        removed = [
            RemoveAction(one.path, True, now_ms, None, _partition_values(one.file)) for one in replacements
        ]
        self._table.create_write_transaction(
            [*removed, *(_add_action(one.file, changes_data=False) for one in replacements)],
            "append",
            self._table.schema(),
            PARTITIONED_BY,
            commit_properties=CommitProperties(max_commit_retries=0, app_transactions=transactions),
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


def _partition_values(file: NewFile) -> dict[str, str | None]:
    date, _, hour = hour_folder(file.hour).partition("/")
    return {"date": date.removeprefix("date="), "hour": str(int(hour.removeprefix("hour=")))}


def _add_action(file: NewFile, *, changes_data: bool = True) -> AddAction:
    modified_at_ms = int(file.modified_at_s * 1_000)
    return AddAction(
        file.path, file.size_bytes, _partition_values(file), modified_at_ms, changes_data, file.statistics
    )


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
