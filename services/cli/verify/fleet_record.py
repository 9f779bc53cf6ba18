"""The readings that the fleet sent, from the record that the simulator writes (services/simulator/record).

`sent` has the readings whose ack is in the record. A reading with an intent but no ack is unresolved: a crash
came before the send, or between the hub's answer and the record. Unresolved readings need not land; if they
landed, they do not count as doubles.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from services.cli.verify.keys import Ints, VehicleCodes, make_key
from shared.service.errors import NeedsAttention

F = TypeVar("F")


class _Fact(Struct):
    """A line of a record of readings, either an intent or an ack."""

    intent: int | None = None
    seed: int = 0
    readings: list[tuple[int, int]] = []
    acked: int | None = None


class _BadFact(Struct):
    """A line of a record of deliberately bad bodies, either an intent or an ack."""

    bad_intent: int | None = None
    count: int = 0
    bad_acked: int | None = None


@dataclass(slots=True)
class FleetRecord:
    """What the fleet sent: ascending distinct keys of readings, and the number of acked bad bodies."""

    sent: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unresolved: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    bad_sent: int = 0


def read_fleet_record(folder: Path, codes: VehicleCodes) -> FleetRecord:
    """Read the record in `folder`; an empty record if no fleet ever sent.

    Raises NeedsAttention if a line cannot be decoded.
    """
    sent, unresolved = array("q"), array("q")
    for path in sorted(folder.glob("p*.ndjson")):
        _read_readings(path, codes, sent, unresolved)
    bad_sent = sum(_read_bad(path) for path in sorted(folder.glob("bad-p*.ndjson")))
    return FleetRecord(_sort(sent), _sort(unresolved), bad_sent)


def _read_readings(path: Path, codes: VehicleCodes, sent: "array[int]", unresolved: "array[int]") -> None:
    decoder = msgspec.json.Decoder(_Fact)
    vehicles: dict[tuple[int, int], int] = {}
    open_intents: dict[int, list[int]] = {}
    for line in _read_lines(path):
        fact = _decode(decoder, line, path)
        if fact.intent is not None:
            keys = []
            for index, reading_no in fact.readings:
                vehicle = vehicles.get((fact.seed, index))
                if vehicle is None:
                    vehicle = vehicles[fact.seed, index] = codes.fleet_code(f"s{fact.seed}-v{index:06d}")
                keys.append(make_key(vehicle, reading_no))
            open_intents[fact.intent] = keys
        elif fact.acked is not None:
            sent.extend(open_intents.pop(fact.acked, ()))
    for keys in open_intents.values():
        unresolved.extend(keys)


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


def _sort(keys: "array[int]") -> Ints:
    return np.unique(np.frombuffer(keys, np.int64)) if keys else np.empty(0, np.int64)
