"""Compares rows that replay a dead letter with the dead letters (pure). `extra` of a row names the letter."""

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from services.cli.verify.chain import ChainKey
from services.cli.verify.keys import to_ints

REPLAY_COLUMN = "extra"
_FIELD = "replay_of"


class LetterId(NamedTuple):
    """The id of a dead letter: created_at of its hub, and the place of its record in this hub."""

    created_at: str
    partition: int
    sequence_number: int
    line: int


class _ReplayOf(Struct):
    created_at: str
    partition: int
    sequence_number: int
    line: int


class _Extra(Struct):
    replay_of: _ReplayOf


class Replays:
    """For each dead letter, the events that replayed it."""

    def __init__(self) -> None:
        self._events: defaultdict[LetterId, set[tuple[ChainKey, int]]] = defaultdict(set)
        self._decoder = msgspec.json.Decoder(_Extra)

    def add(self, chain: ChainKey, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Add a batch with the columns `extra` and `sequence_number`. Return a mask: True for each replay."""
        extra = batch[REPLAY_COLUMN]
        is_replay = np.zeros(batch.num_rows, np.bool_)
        if extra.null_count == batch.num_rows:
            return is_replay
        named = pc.fill_null(pc.match_substring(extra, f'"{_FIELD}"'), False)
        sequences = to_ints(batch["sequence_number"])
        for row in pc.indices_nonzero(named).to_pylist():
            letter = self._parse_letter(extra[row].as_py())
            if letter is not None:
                self._events[letter].add((chain, int(sequences[row])))
                is_replay[row] = True
        return is_replay

    def count_landed(self, letters: AbstractSet[LetterId]) -> int:
        """Count the dead letters of `letters` whose replay landed."""
        return len(letters & self._events.keys())

    def faults(self, letters: AbstractSet[LetterId]) -> Iterator[str]:
        """Yield a sentence for each letter that was replayed more than once, or is not among `letters`."""
        for letter, events in sorted(self._events.items()):
            name = f"dead letter {letter.partition}:{letter.sequence_number}:{letter.line}"
            if len(events) > 1:
                yield f"{name} was replayed {len(events)} times"
            if letter not in letters:
                yield f"{name}, which was replayed, is in no file that counts"

    def _parse_letter(self, extra: str) -> LetterId | None:
        try:
            found = self._decoder.decode(extra).replay_of
        except msgspec.MsgspecError:
            return None  # the sender's own field of this name
        return LetterId(found.created_at, found.partition, found.sequence_number, found.line)
