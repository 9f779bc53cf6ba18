"""Commits to the Delta table: how far each chain moves, and which files the table lacks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import SinkUnavailable


@dataclass(frozen=True, slots=True)
class NewFile:
    """A compacted file in the table's folder, with the rows of the events `first` to `next_first` - 1."""

    hour: int
    first: int
    next_first: int
    name: str
    size_bytes: int
    modified_at_s: float
    schema: pa.Schema
    statistics: str

    @property
    def path(self) -> str:
        """The path relative to the table's folder."""
        return f"{hour_folder(self.hour)}/{self.name}"


@dataclass(frozen=True, slots=True)
class Replacement:
    """A new file with the same rows as the table's file `path`, which it replaces."""

    path: str
    file: NewFile


@dataclass(slots=True)
class ChainCommit:
    """The commit that moves a chain from position `start` to `end`.

    `start` is None if the table has no position for the chain. Events between the files, or after the last
    file, have no rows.
    """

    chain: ChainKey
    start: int | None
    end: int
    files: list[NewFile] = field(default_factory=list)


def select_new_files(commit: ChainCommit, position: int | None) -> Sequence[NewFile] | None:
    """Return the files that a table at `position` lacks; None if `position` is at the commit's end or later.

    Raises SinkUnavailable if the table went back behind the commit's start, or if `position` is within one of
    the files. Both happen if the table was created again or cleaned up while this compaction slept.
    """
    if position is None:
        if commit.start is not None:
            raise SinkUnavailable(f"the table forgot {commit.chain.label} since this compaction read it")
        return commit.files
    if position >= commit.end:
        return None
    if commit.start is not None and position < commit.start:
        raise SinkUnavailable(f"the table of {commit.chain.label} went back to {position}: compact again")
    if any(file.first < position < file.next_first for file in commit.files):
        raise SinkUnavailable(f"the table of {commit.chain.label} goes on at {position}: compact again")
    return [file for file in commit.files if file.first >= position]
