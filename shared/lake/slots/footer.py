"""The key-values that ingest writes into the Parquet footer of each committed file. No I/O.

These key-values link the files to a chain: `next_first` and `next_folder` of the newest file name the next
slot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa

from shared.lake.slots.key_values import parse_key_values, to_key_values
from shared.lake.slots.slot import parse_hour_folder
from shared.service.errors import NeedsAttention


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the next file starts at event `next_first`, in the folder of `next_hour`.

    `columns` are those of the chain's newest file, if the head was read from a file.
    """

    next_first: int
    next_hour: int
    last_offset: str = ""
    columns: pa.Schema | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Footer:
    """The footer of a file with events `first_seq` to `last_seq` (no events if last_seq = first_seq - 1).

    `bad` records of these events are in the file `dead_letter` (empty if there is no such file). `gap` events
    were removed by the hub's retention before they were read. `attempt` identifies the write that made the
    file.
    """

    first_seq: int
    last_seq: int
    last_offset: str
    next_first: int
    next_folder: str
    rows: int
    bad: int
    gap: int
    attempt: str
    dead_letter: str
    schema_version: int
    created_at: str

    @property
    def head(self) -> Head:
        return Head(self.next_first, parse_hour_folder(self.next_folder), self.last_offset)

    def key_values(self) -> dict[str, str]:
        """Return the fields by name, as text; integers are decimal."""
        return to_key_values(self)

    @classmethod
    def from_key_values(cls, key_values: Mapping[bytes, bytes], path: str) -> Self:
        """Parse the key-values of the file at `path`.

        Raises NeedsAttention if the file was not written by ingest.
        """
        try:
            footer = cls(**parse_key_values(cls, key_values))
            parse_hour_folder(footer.next_folder)
        except (KeyError, ValueError) as error:
            raise NeedsAttention(
                f"{path} stands in the chain but was not written by ingest ({error}): move it away"
            ) from error
        return footer
