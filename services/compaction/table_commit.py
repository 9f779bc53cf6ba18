"""How far a commit to the table takes each chain, and what of it others were first with (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import SinkUnavailable


@dataclass(frozen=True, slots=True)
class NewFile:
    """A compacted file that stands in the table's folder, with all rows of events `first` to `next_first`."""

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
        """Within the table."""
        return f"{hour_folder(self.hour)}/{self.name}"


@dataclass(slots=True)
class ChainCommit:
    """A chain's way from the position that the table had (None: none yet) to `end`, by these files.

    Events between files, or behind them, have no rows.
    """

    chain: ChainKey
    start: int | None
    end: int
    files: list[NewFile] = field(default_factory=list)


def select_new_files(advance: ChainCommit, standing: int | None) -> Sequence[NewFile] | None:
    """The files that a table which stands there does not have yet; None where it is as far or further.

    Raises SinkUnavailable where the table went back, or its last file ends in the middle of one of these:
    somebody made it anew, or cleaned it up while this compaction slept.
    """
    if standing is None:
        if advance.start is not None:
            raise SinkUnavailable(f"the table forgot {advance.chain.label} since this compaction read it")
        return advance.files
    if standing >= advance.end:
        return None
    if advance.start is not None and standing < advance.start:
        raise SinkUnavailable(f"the table of {advance.chain.label} went back to {standing}: compact again")
    if any(file.first < standing < file.next_first for file in advance.files):
        raise SinkUnavailable(f"the table of {advance.chain.label} goes on at {standing}: compact again")
    return [file for file in advance.files if file.first >= standing]
