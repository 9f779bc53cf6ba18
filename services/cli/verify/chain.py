"""The files of a partition as a chain, read independently of the code that writes them (pure).

A file is `raw/<stream>/date=…/hour=…/p<PP>[-g<N>]-<first>.parquet`. Its footer names the first sequence
number and the folder of the next file. From the chain's root on, the files of a chain follow each other
without gap or overlap.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from msgspec import Struct

_SLOT = re.compile(
    r"raw/(?P<stream>[\w-]+)/(?P<folder>date=\d{4}-\d\d-\d\d/hour=\d\d)"
    r"/p(?P<partition>\d{2,})(?:-g(?P<generation>\d+))?-(?P<first>\d{20})\.parquet"
)
_ROOT = re.compile(r"raw/(?P<stream>[\w-]+)/_chain/p(?P<partition>\d{2,})(?:-g(?P<generation>\d+))?\.json")


@dataclass(frozen=True, slots=True, order=True)
class ChainKey:
    """The chain of one partition; a re-created hub starts a new chain with the next generation."""

    partition: int
    generation: int = 1

    @classmethod
    def from_match(cls, found: re.Match[str]) -> Self:
        return cls(int(found["partition"]), int(found["generation"] or 1))

    def __str__(self) -> str:
        again = f", generation {self.generation}" if self.generation > 1 else ""
        return f"partition {self.partition}{again}"


@dataclass(frozen=True, slots=True)
class Slot:
    """What the path of a committed file says about the file."""

    path: str
    chain: ChainKey
    folder: str
    first: int


class Root(Struct, frozen=True):
    """The root of a chain: the first file's sequence number and folder, and the hub's creation time."""

    created_at: str
    first: int
    folder: str


@dataclass(frozen=True, slots=True)
class Footer:
    """The metadata in the footer of a committed file."""

    last_seq: int
    next_first: int
    next_folder: str
    rows: int
    bad: int
    dead_letter: str
    created_at: str

    @classmethod
    def from_metadata(cls, key_values: Mapping[bytes, bytes]) -> Self:
        """Read the footer. Raises KeyError if a key is missing, ValueError if a value is not a number."""
        text = {
            name.decode(): value.decode() for name, value in key_values.items() if name != b"ARROW:schema"
        }
        return cls(
            last_seq=int(text["last_seq"]),
            next_first=int(text["next_first"]),
            next_folder=text["next_folder"],
            rows=int(text["rows"]),
            bad=int(text["bad"]),
            dead_letter=text["dead_letter"],
            created_at=text["created_at"],
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A committed file of a chain: its path and its footer."""

    slot: Slot
    footer: Footer


def parse_slot(path: str) -> Slot | None:
    """Parse the path of a committed file; None if `path` is no such path."""
    found = _SLOT.fullmatch(path)
    return Slot(path, ChainKey.from_match(found), found["folder"], int(found["first"])) if found else None


def parse_root(path: str) -> ChainKey | None:
    """Return the chain whose root has this path; None if `path` is not the path of a root."""
    found = _ROOT.fullmatch(path)
    return ChainKey.from_match(found) if found else None


def find_chain_faults(chain: ChainKey, root: Root | None, links: Iterable[Link]) -> Iterator[str]:
    """Yield a sentence for each fault of a chain.

    Faults are a missing root, a gap, an overlap, a file in the wrong folder, and a file of another hub.
    """
    # A file without events, which moves the chain to a later hour, has the same first as the next file.
    ordered = sorted(links, key=lambda link: (link.slot.first, link.footer.next_first, link.slot.folder))
    if root is None:
        yield f"{chain}: the chain has no root"
    elif ordered:
        yield from _compare(f"{chain}: the chain's root", root.first, root.folder, ordered[0].slot)
    for before, after in pairwise(ordered):
        footer = before.footer
        yield from _compare(before.slot.path, footer.next_first, footer.next_folder, after.slot)
        if footer.created_at != after.footer.created_at:
            yield f"{after.slot.path} is of a hub created at another time than the file before it"
    if root is not None and ordered and ordered[0].footer.created_at != root.created_at:
        yield f"{ordered[0].slot.path} is of a hub created at another time than the chain's root"


def _compare(before: str, next_first: int, next_folder: str, slot: Slot) -> Iterator[str]:
    if slot.first > next_first:
        yield f"{slot.chain}: events {next_first} to {slot.first - 1} are in no file"
    elif slot.first < next_first:
        yield f"{slot.path} overlaps: {before} names {next_first} as the next event"
    elif slot.folder != next_folder:
        yield f"{slot.path} stands in the wrong folder: {before} names {next_folder}"
