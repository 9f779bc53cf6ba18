"""Reads the dead letters of a stream. Files that no footer of a committed file names are ignored."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from services.cli.verify.chain import ChainKey, Link
from services.cli.verify.replays import LetterId
from shared.lake.client import Lake


class _Letter(Struct):
    """A line of a dead-letter file, with only the fields that a verification needs."""

    partition: int
    sequence_number: int
    line: int
    reason: str
    body: str


@dataclass(slots=True)
class DeadLetters:
    """The dead letters of a stream: their count, ids and sequence numbers, and the faults of their files."""

    records: int = 0
    ids: set[LetterId] = field(default_factory=set)
    sequences: defaultdict[ChainKey, list[int]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)


async def read_dead_letters(lake: Lake, links: Mapping[ChainKey, Iterable[Link]]) -> DeadLetters:
    """Read all dead letters in files that the footers of a stream's committed files name."""
    letters = DeadLetters()
    decoder = msgspec.json.Decoder(_Letter)
    for chain, files in links.items():
        for link in files:
            path = link.footer.dead_letter
            try:
                found = decoder.decode_lines(await lake.read(path) or b"") if path else []
            except msgspec.MsgspecError as error:
                letters.faults.append(f"{path} cannot be read: {error}")
                continue
            if len(found) != link.footer.bad:
                named = f"{path} holds {len(found)}" if path else "no file is named"
                letters.faults.append(f"{link.slot.path} counts {link.footer.bad} bad records: {named}")
            letters.records += len(found)
            letters.sequences[chain].extend(letter.sequence_number for letter in found)
            letters.ids.update(
                LetterId(link.footer.created_at, one.partition, one.sequence_number, one.line)
                for one in found
            )
    return letters
