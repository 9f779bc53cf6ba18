"""Failpoints: named points at which a process may kill itself, so that tests show what a crash there costs.

Failpoints are armed only by `FLEETPRICE_FAILPOINTS="ingest_renamed=7*3,hub_appended=50*3"`: this sends
SIGKILL at every 7th pass of `ingest_renamed`, at most 3 times over all restarts. The kills are counted in the
file `FLEETPRICE_FAILPOINTS_LOG`. If no failpoint is armed, a pass only checks that a dict is empty.

`decode=raise:TEXT` makes the decoding of a body that contains TEXT raise an error, and `decode=abort:TEXT`
makes it end the process as a fault in native code does.
"""

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.service.errors import SettingsError


@dataclass(slots=True)
class Failpoint:
    """An armed failpoint: it kills the process at every `every`-th pass, at most `times` times.

    Each kill is one line with the failpoint's name in `log`, so the count survives restarts.
    """

    name: str
    every: int
    times: int
    log: Path
    passes: int = 0

    def is_spent(self) -> bool:
        kills = self.log.read_text().split() if self.log.exists() else []
        return kills.count(self.name) >= self.times


@dataclass(frozen=True, slots=True)
class PoisonedBody:
    """An armed failpoint of decoding: it strikes each body that contains `text`."""

    text: bytes
    is_hard: bool


class Struck(RuntimeError):
    """The error that a failpoint of decoding raises."""


_armed: dict[str, Failpoint] = {}
_poisoned_bodies: dict[str, PoisonedBody] = {}


def arm(spec: str, log: Path) -> None:
    """Arm the failpoints of `spec` (`name=every*times,…`).

    Raises SettingsError if `spec` cannot be parsed.
    """
    for part in filter(None, spec.split(",")):
        name, _, counts = part.partition("=")
        kind, separator, text = counts.partition(":")
        if separator and kind in ("raise", "abort"):
            _poisoned_bodies[name] = PoisonedBody(text.encode(), kind == "abort")
            continue
        every, _, times = counts.partition("*")
        if not (name and every.isdigit() and times.isdigit() and int(every)):
            raise SettingsError(f"FLEETPRICE_FAILPOINTS: {part!r} is not NAME=EVERY*TIMES")
        _armed[name] = Failpoint(name, int(every), int(times), log)


def _count_pass(name: str) -> bool:
    """Count one pass of the failpoint `name`. Return True if this pass must kill the process."""
    if not _armed or (point := _armed.get(name)) is None:
        return False
    point.passes += 1
    return point.passes % point.every == 0 and not point.is_spent()


def reach(name: str) -> None:
    """Kill this process with SIGKILL if the failpoint `name` is armed and due at this pass."""
    if _count_pass(name):
        point = _armed[name]
        with point.log.open("a") as log:
            log.write(f"{name}\n")
            log.flush()
            os.fsync(log.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


def examine(name: str, bodies: Iterable[bytes]) -> None:
    """Fail if a body is one that the failpoint `name` is armed for. Raises Struck, or ends the process."""
    if not _poisoned_bodies or (point := _poisoned_bodies.get(name)) is None:
        return
    if any(point.text in body for body in bodies):
        if point.is_hard:
            os.abort()
        raise Struck(f"the failpoint {name} is armed for this body")


def disarm() -> None:
    """Disarm all failpoints."""
    _armed.clear()
    _poisoned_bodies.clear()
