"""The readings that the fleet sent, from the record that the simulator writes (services/simulator/record).

`sent` has the readings whose ack is in the record. A reading with an intent but no ack is unresolved: a crash
came before the send, or between the hub's answer and the record. Unresolved readings need not land; if they
landed, they do not count as doubles.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from services.cli.verify.keys import Ints, VehicleCodes, are_in, make_key
from shared.service.errors import NeedsAttention

F = TypeVar("F")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Fact(Struct):
    """A line of a record of readings, either an intent or an ack."""

    intent: int | None = None
    seed: int = 0
    first_at: datetime = EPOCH
    readings: list[tuple[int, int]] = []
    after_us: list[int] = []
    acked: int | None = None


class _Run(Struct):
    """A run in `fleet.json`."""

    seed: int


class _BadFact(Struct):
    """A line of a record of deliberately bad bodies, either an intent or an ack."""

    bad_intent: int | None = None
    count: int = 0
    bad_acked: int | None = None


@dataclass(slots=True)
class FleetRecord:
    """What the fleet sent: ascending distinct keys of readings, and the number of acked bad bodies.

    `sent_at` and `unresolved_at` have the time of each reading, in microseconds since 1970 UTC. `seeds` are
    the fleets that sent, or that `fleet.json` names.
    """

    sent: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sent_at: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unresolved: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unresolved_at: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    bad_sent: int = 0
    seeds: set[int] = field(default_factory=set)

    def find_instants(self, keys: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return the time of each reading, and a mask: True for each reading that the record names."""
        instants, is_known = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
        for known, at in ((self.sent, self.sent_at), (self.unresolved, self.unresolved_at)):
            is_here = are_in(keys, known) & ~is_known
            instants[is_here] = at[np.searchsorted(known, keys[is_here])]
            is_known |= is_here
        return instants, is_known


def read_fleet_record(folder: Path, codes: VehicleCodes) -> FleetRecord:
    """Read the record in `folder`; an empty record if no fleet ever sent.

    Raises NeedsAttention if a line cannot be decoded.
    """
    sent, unresolved, seeds = array("q"), array("q"), _read_seeds(folder / "fleet.json")
    for path in sorted(folder.glob("p*.ndjson")):
        seeds |= _read_readings(path, codes, sent, unresolved)
    bad_sent = sum(_read_bad(path) for path in sorted(folder.glob("bad-p*.ndjson")))
    return FleetRecord(*_sort(sent), *_sort(unresolved), bad_sent, seeds)


def _read_seeds(path: Path) -> set[int]:
    """Return the seeds of the runs in `fleet.json`; none if there is no file."""
    if not path.exists():
        return set()
    return {run.seed for run in _decode(msgspec.json.Decoder(list[_Run]), path.read_bytes(), path)}


def _read_readings(path: Path, codes: VehicleCodes, sent: "array[int]", unresolved: "array[int]") -> set[int]:
    """Add the readings of a record as pairs of key and time. Return the seeds of their fleets."""
    decoder = msgspec.json.Decoder(_Fact)
    vehicles: dict[tuple[int, int], int] = {}
    open_intents: dict[int, list[int]] = {}
    for line in _read_lines(path):
        fact = _decode(decoder, line, path)
        if fact.intent is not None:
            first_us = (fact.first_at - EPOCH) // _MICROSECOND
            pairs: list[int] = []
            for (index, reading_no), after_us in zip(fact.readings, _delays(fact, path), strict=True):
                vehicle = vehicles.get((fact.seed, index))
                if vehicle is None:
                    vehicle = vehicles[fact.seed, index] = codes.fleet_code(f"s{fact.seed}-v{index:06d}")
                pairs += (make_key(vehicle, reading_no), first_us + after_us)
            open_intents[fact.intent] = pairs
        elif fact.acked is not None:
            sent.extend(open_intents.pop(fact.acked, ()))
    for pairs in open_intents.values():
        unresolved.extend(pairs)
    return {seed for seed, _ in vehicles}


def _delays(fact: _Fact, path: Path) -> list[int]:
    """Return the `after_us` of an intent. Raises NeedsAttention if there is not one for each reading."""
    if len(fact.after_us) != len(fact.readings):
        raise NeedsAttention(f"{path} is no record of a simulator (intent {fact.intent}): move it away")
    return fact.after_us


def _read_bad(path: Path) -> int:
    decoder = msgspec.json.Decoder(_BadFact)
    open_intents: dict[int, int] = {}
    acked = 0
    for line in _read_lines(path):
        fact = _decode(decoder, line, path)
        if fact.bad_intent is not None:
            open_intents[fact.bad_intent] = fact.count
        elif fact.bad_acked is not None:
            acked += open_intents.pop(fact.bad_acked, 0)
    return acked


def _read_lines(path: Path) -> Iterator[bytes]:
    """Yield the complete lines of a file. A last line without a line end, as a crash leaves, is skipped."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _decode(decoder: msgspec.json.Decoder[F], line: bytes, path: Path) -> F:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise NeedsAttention(f"{path} is no record of a simulator ({error}): move it away") from error


def _sort(pairs: "array[int]") -> tuple[Ints, Ints]:
    """Return the distinct keys, ascending, and the time of each."""
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    keys, rows = np.unique(columns[:, 0], return_index=True)
    return keys, columns[rows, 1]
