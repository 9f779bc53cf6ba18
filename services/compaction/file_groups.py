"""Which raw files become one, and what the file says that they become (pure).

Any cut is safe: where a compacted file stands follows from the first raw row in it, and what it covers is
what its footer says. So nothing here decides about losses or doubles, only about file sizes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from shared.lake.slots.footer import Footer
from shared.lake.slots.key_values import parse_key_values, to_key_values
from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import NeedsAttention


@dataclass(frozen=True, slots=True, order=True)
class RawFile:
    """A committed raw file as the listing shows it; ordered along its chain.

    A file without events, which sends the chain on to a later hour, starts where the next one does.
    """

    first: int
    hour: int
    path: str
    size_bytes: int
    modified_at_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """How much raw data becomes one file, and when files are taken that nothing follows yet."""

    target_bytes: int
    older_than_s: float


def next_group(files: Sequence[RawFile], policy: Policy, now_s: float) -> Sequence[RawFile]:
    """The first of a chain's `files`, in its order, that are to become one file; empty where none are due.

    They are of one hour's folder. An hour is closed once a later file of the chain stands in a later folder,
    for folders never go back along a chain.
    """
    size_bytes = taken = 0
    while taken < len(files) and files[taken].hour == files[0].hour and size_bytes < policy.target_bytes:
        size_bytes += files[taken].size_bytes
        taken += 1
    is_full_or_closed = taken < len(files) or size_bytes >= policy.target_bytes
    if taken and (is_full_or_closed or now_s - files[taken - 1].modified_at_s >= policy.older_than_s):
        return files[:taken]
    return ()


@dataclass(frozen=True, slots=True)
class Covered:
    """What a compacted file says of itself: key-values of its Parquet footer.

    It holds every row of the raw files of its folder and chain that start at `first_seq` or later and before
    `next_first`: `files` of them, which hold the events to `last_seq`.
    """

    first_seq: int
    last_seq: int
    next_first: int
    files: int
    rows: int
    bad: int
    gap: int
    created_at: str

    def key_values(self) -> dict[str, str]:
        """Text by name, integers in decimal."""
        return to_key_values(self)

    @classmethod
    def from_key_values(cls, key_values: Mapping[bytes, bytes], path: str) -> Self:
        """The inverse; raises NeedsAttention for a file that no compaction wrote."""
        try:
            return cls(**parse_key_values(cls, key_values))
        except (KeyError, ValueError) as error:
            raise NeedsAttention(f"{path} was not written by a compaction ({error}): move it away") from error


def cover(footers: Sequence[Footer]) -> Covered:
    """What one file covers that is made of raw files that follow each other."""
    return Covered(
        first_seq=footers[0].first_seq,
        last_seq=footers[-1].last_seq,
        next_first=footers[-1].next_first,
        files=len(footers),
        rows=sum(footer.rows for footer in footers),
        bad=sum(footer.bad for footer in footers),
        gap=sum(footer.gap for footer in footers),
        created_at=footers[0].created_at,
    )


def table_folder(stream: str) -> str:
    """The Delta table of a stream: its root."""
    return f"compacted/{stream}"


def compacted_path(chain: ChainKey, hour: int, first: int) -> str:
    """The path of the compacted file whose first row is of the raw file that starts at `first`.

    Every compaction aims at this one, whatever it found to compact; a rename-if-absent decides.
    """
    return f"{table_folder(chain.stream)}/{hour_folder(hour)}/{chain.label}-{first:020d}.parquet"


def staging_folder(stream: str) -> str:
    return f"_staging/{table_folder(stream)}"


def staged_path(chain: ChainKey, first: int, attempt: str) -> str:
    """Where a compacted file is written before it gets its name."""
    return f"{staging_folder(chain.stream)}/{chain.label}-{first:020d}-{attempt}.parquet"
