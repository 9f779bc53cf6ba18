"""The slot chain as the files tell it, read independently of the code that writes it (pure).

`raw/<stream>/date=…/hour=…/p<PP>[-g<N>]-<first>.parquet`: each footer names the next file's first sequence
number and folder; the files of one partition are disjoint and contiguous from the root on.
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
    """One partition's chain; a re-created hub opens the next generation."""

    partition: int
    generation: int = 1

    @classmethod
    def of(cls, found: re.Match[str]) -> Self:
        return cls(int(found["partition"]), int(found["generation"] or 1))

    def __str__(self) -> str:
        again = f", generation {self.generation}" if self.generation > 1 else ""
        return f"partition {self.partition}{again}"


@dataclass(frozen=True, slots=True)
class Slot:
    """What a committed file's path says."""

    path: str
    lane: ChainKey
    folder: str
    first: int


class Root(Struct, frozen=True):
    """Where a chain begins."""

    created_at: str
    first: int
    folder: str


@dataclass(frozen=True, slots=True)
class Footer:
    """What a committed file says of itself."""

    last_seq: int
    next_first: int
    next_folder: str
    rows: int
    bad: int
    dead_letter: str
    created_at: str

    @classmethod
    def of(cls, key_values: Mapping[bytes, bytes]) -> Self:
        """Raises KeyError or ValueError where something is not there or no number."""
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
    """One committed file."""

    slot: Slot
    footer: Footer


def slot_in(path: str) -> Slot | None:
    """The slot that a path names; None for a path that names none."""
    found = _SLOT.fullmatch(path)
    return Slot(path, ChainKey.of(found), found["folder"], int(found["first"])) if found else None


def root_lane(path: str) -> ChainKey | None:
    """The lane whose root a path names; None for a path that names none."""
    found = _ROOT.fullmatch(path)
    return ChainKey.of(found) if found else None


def chain_faults(lane: ChainKey, root: Root | None, links: Iterable[Link]) -> Iterator[str]:
    """What is wrong with one chain: a missing root, a gap, an overlap, a wrong folder, another hub's file."""
    # A file without events, which sends the chain on to a later hour, starts where the next one does.
    ordered = sorted(links, key=lambda link: (link.slot.first, link.footer.next_first, link.slot.folder))
    if root is None:
        yield f"{lane}: the chain has no root"
    elif ordered:
        yield from _seam(f"{lane}: the chain's root", root.first, root.folder, ordered[0].slot)
    for before, after in pairwise(ordered):
        footer = before.footer
        yield from _seam(before.slot.path, footer.next_first, footer.next_folder, after.slot)
        if footer.created_at != after.footer.created_at:
            yield f"{after.slot.path} is of a hub created at another time than the file before it"
    if root is not None and ordered and ordered[0].footer.created_at != root.created_at:
        yield f"{ordered[0].slot.path} is of a hub created at another time than the chain's root"


def _seam(before: str, next_first: int, next_folder: str, slot: Slot) -> Iterator[str]:
    if slot.first > next_first:
        yield f"{slot.lane}: events {next_first} to {slot.first - 1} are in no file"
    elif slot.first < next_first:
        yield f"{slot.path} overlaps: {before} names {next_first} as the next event"
    elif slot.folder != next_folder:
        yield f"{slot.path} stands in the wrong folder: {before} names {next_folder}"
