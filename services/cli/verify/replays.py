"""Rows that replay a dead letter name it in `extra`: held against the dead letters that there are (pure)."""

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
from services.cli.verify.keys import ints

REPLAY_COLUMN = "extra"
_FIELD = "replay_of"


class LetterId(NamedTuple):
    """One dead letter: its hub's created_at, and where its record stood there."""

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
    """Dead letters by the events that replayed them."""

    def __init__(self) -> None:
        self._events: defaultdict[LetterId, set[tuple[ChainKey, int]]] = defaultdict(set)
        self._decoder = msgspec.json.Decoder(_Extra)

    def take(self, lane: ChainKey, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Take in a batch with the columns `extra` and `sequence_number`; which of its rows are replays."""
        extra = batch[REPLAY_COLUMN]
        is_replay = np.zeros(batch.num_rows, np.bool_)
        if extra.null_count == batch.num_rows:
            return is_replay
        named = pc.fill_null(pc.match_substring(extra, f'"{_FIELD}"'), False)
        sequences = ints(batch["sequence_number"])
        for row in pc.indices_nonzero(named).to_pylist():
            letter = self._letter_in(extra[row].as_py())
            if letter is not None:
                self._events[letter].add((lane, int(sequences[row])))
                is_replay[row] = True
        return is_replay

    def of(self, letters: AbstractSet[LetterId]) -> int:
        """How many of `letters` were replayed and landed."""
        return len(letters & self._events.keys())

    def faults(self, letters: AbstractSet[LetterId]) -> Iterator[str]:
        """Dead letters replayed more than once, and replays of none."""
        for letter, events in sorted(self._events.items()):
            name = f"dead letter {letter.partition}:{letter.sequence_number}:{letter.line}"
            if len(events) > 1:
                yield f"{name} was replayed {len(events)} times"
            if letter not in letters:
                yield f"{name}, which was replayed, is in no file that counts"

    def _letter_in(self, extra: str) -> LetterId | None:
        try:
            found = self._decoder.decode(extra).replay_of
        except msgspec.MsgspecError:
            return None  # a sender's own field of that name
        return LetterId(found.created_at, found.partition, found.sequence_number, found.line)
