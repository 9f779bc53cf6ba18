"""Groups of raw files that become one compacted file, and that file's path and footer. Pure.

Any grouping is safe: the path of a compacted file follows from its first raw row, and its footer records what
it covers. So this module decides only file sizes, never losses or duplicates.
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
    """A committed raw file, as found in a listing. Raw files sort in the order of their chain.

    A raw file without events only moves the chain to a later hour; the next file has the same `first`.
    """

    first: int
    hour: int
    path: str
    size_bytes: int
    modified_at_s: float


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """The size of a group, and the age at which the newest files of a chain are compacted."""

    target_bytes: int
    older_than_s: float


def next_group(files: Sequence[RawFile], policy: GroupPolicy, now_s: float) -> Sequence[RawFile]:
    """Return the leading files of a chain that become one compacted file; empty if no group is due.

    All files of a group are in the same hour's folder. An hour is closed once a later file of the chain is in
    a later folder, because folders never go back along a chain.
    """
    size_bytes = count = 0
    while count < len(files) and files[count].hour == files[0].hour and size_bytes < policy.target_bytes:
        size_bytes += files[count].size_bytes
        count += 1
    is_full_or_closed = count < len(files) or size_bytes >= policy.target_bytes
    if count and (is_full_or_closed or now_s - files[count - 1].modified_at_s >= policy.older_than_s):
        return files[:count]
    return ()


@dataclass(frozen=True, slots=True)
class CompactedFooter:
    """The footer of a compacted file: key-values of its Parquet metadata.

    The compacted file holds every row of all raw files of its folder and chain that start at `first_seq` or
    later and before `next_first`. `files` is the number of these raw files, and `last_seq` is the sequence
    number of their last event.
    """

    first_seq: int
    last_seq: int
    next_first: int
    files: int
    rows: int
    bad: int
    gap: int
    created_at: str

    @classmethod
    def from_raw_footers(cls, footers: Sequence[Footer]) -> Self:
        """Return the footer of a file made of consecutive raw files."""
        return cls(
            first_seq=footers[0].first_seq,
            last_seq=footers[-1].last_seq,
            next_first=footers[-1].next_first,
            files=len(footers),
            rows=sum(footer.rows for footer in footers),
            bad=sum(footer.bad for footer in footers),
            gap=sum(footer.gap for footer in footers),
            created_at=footers[0].created_at,
        )

    def key_values(self) -> dict[str, str]:
        """Return the fields as text by name, integers in decimal."""
        return to_key_values(self)

    @classmethod
    def from_key_values(cls, key_values: Mapping[bytes, bytes], path: str) -> Self:
        """Parse the footer from key-values. Raises NeedsAttention if compaction did not write the file."""
        try:
            return cls(**parse_key_values(cls, key_values))
        except (KeyError, ValueError) as error:
            raise NeedsAttention(f"{path} was not written by a compaction ({error}): move it away") from error


def table_folder(stream: str) -> str:
    """Return the root folder of a stream's Delta table."""
    return f"compacted/{stream}"


def compacted_path(chain: ChainKey, hour: int, first: int) -> str:
    """Return the path of the compacted file whose first row is from the raw file that starts at `first`.

    Every compaction that starts at `first` uses this path, however large its group. The rename to this path
    succeeds only if the path is free, so one compaction wins.
    """
    return f"{table_folder(chain.stream)}/{hour_folder(hour)}/{chain.label}-{first:020d}.parquet"


def staging_folder(stream: str) -> str:
    return f"_staging/{table_folder(stream)}"


def staged_path(chain: ChainKey, first: int, attempt: str) -> str:
    """Return the path of a compacted file before its rename."""
    return f"{staging_folder(chain.stream)}/{chain.label}-{first:020d}-{attempt}.parquet"
