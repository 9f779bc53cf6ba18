"""The log of a Delta table, read independently of the library that writes it.

The log is read from its newest checkpoint on, commit by commit, as
https://github.com/delta-io/delta/blob/master/PROTOCOL.md describes.
"""

import re
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from shared.lake.client import Lake

# What a damaged log raises.
UNREADABLE = (msgspec.MsgspecError, pa.ArrowException, OSError, ValueError)
_COMMIT = re.compile(r"(\d{20})\.json")


class _File(Struct):
    path: str


class _Transaction(Struct, rename="camel"):
    app_id: str
    version: int


class _Action(Struct):
    """A line of a commit, or a row of a checkpoint; without any field if the action is of another kind."""

    add: _File | None = None
    remove: _File | None = None
    txn: _Transaction | None = None


class _LastCheckpoint(Struct):
    version: int


class Snapshot:
    """The newest version of a table: its files, and the transaction version of each application."""

    def __init__(self) -> None:
        self.version = -1
        self.files: set[str] = set()
        self.transactions: dict[str, int] = {}

    @classmethod
    async def read(cls, lake: Lake, table: str) -> Self:
        """Read the newest version of a table; without files if there is no table."""
        snapshot, log = cls(), f"{table}/_delta_log"
        if last := await lake.read(f"{log}/_last_checkpoint"):
            snapshot.version = msgspec.json.decode(last, type=_LastCheckpoint).version
            rows = await lake.read(f"{log}/{snapshot.version:020d}.checkpoint.parquet")
            snapshot._replay(msgspec.convert(_read_rows(rows or b""), list[_Action]))
        names = [file.path.rpartition("/")[2] async for file in lake.list(log, recursive=False)]
        for version in sorted(int(found[1]) for name in names if (found := _COMMIT.fullmatch(name))):
            if version > snapshot.version:
                data = await lake.read(f"{log}/{version:020d}.json")
                snapshot._replay(msgspec.json.Decoder(_Action).decode_lines(data or b""))
                snapshot.version = version
        return snapshot

    def _replay(self, actions: Iterable[_Action]) -> None:
        # Within a commit the order does not matter: a path is added or removed, not both.
        for action in actions:
            if action.remove is not None:
                self.files.discard(unquote(action.remove.path))
            if action.add is not None:
                self.files.add(unquote(action.add.path))
            if action.txn is not None:
                self.transactions[action.txn.app_id] = action.txn.version


def _read_rows(checkpoint: bytes) -> list[dict[str, Any]]:
    """Read the rows of a checkpoint.

    A checkpoint also lists removed files until they are cleaned up; those are not read.
    """
    file = pq.ParquetFile(pa.BufferReader(checkpoint))
    rows: list[dict[str, Any]] = file.read(["add.path", "txn.appId", "txn.version"]).to_pylist()
    return rows
