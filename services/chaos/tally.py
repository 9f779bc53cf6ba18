"""What really went wrong, counted by kind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.chaos.schedule import Kind


class _LogLine(msgspec.Struct):
    """What is asked of a line of a service's log."""

    event: str = ""
    partition: str = ""
    stream: str = ""
    next: int | None = None
    attempts: int = 0


class Tally:
    """Counts; a fault that lies in wait in the emulator counts once it has struck."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._armed: dict[str, Kind] = {}
        self._struck: dict[str, int] = {}

    def happened(self, kind: Kind, times: int = 1) -> None:
        self._counts[kind] += times

    def armed(self, fault_id: str, kind: Kind) -> None:
        self._armed[fault_id] = kind

    def see(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """The emulator's own list of faults, looked at now and then."""
        for fault in listed:
            if fault["id"] in self._armed:
                self._struck[fault["id"]] = fault["struck"]

    def emulator_ended(self) -> None:
        """Its next life counts its faults anew, under the same names."""
        for fault_id, struck in self._struck.items():
            self._counts[self._armed[fault_id]] += struck
        self._armed.clear()
        self._struck.clear()

    def counts(self, logs: Path, writers: Iterable[str]) -> dict[str, int]:
        """All of them, what the services' own logs tell included."""
        self.emulator_ended()
        found = Counter({kind.value: self._counts[kind] for kind in Kind})
        failpoints = logs / "failpoints"
        if failpoints.exists():
            found.update(f"killed_at_{name}" for name in failpoints.read_text().split())
        return dict(found + _told_by(logs, writers) | {kind.value: found[kind.value] for kind in Kind})


def _told_by(logs: Path, writers: Iterable[str]) -> Counter[str]:
    """Files swept, slots lost to another writer, partitions that several writers were the first to open."""
    told: Counter[str] = Counter({"swept": 0, "slot_lost": 0, "first_file_raced": 0})
    racers: Counter[tuple[str, str]] = Counter()
    for writer in writers:
        opened = set()
        for line in _lines(logs / f"{writer}.log"):
            if line.event == "partition_opened" and line.next == 0:
                opened.add((line.stream, line.partition))
            elif line.event == "staging_swept":
                told["swept"] += line.attempts
            elif line.event == "slot_lost":
                told["slot_lost"] += 1
        racers.update(opened)
    told["first_file_raced"] = sum(count > 1 for count in racers.values())
    return told


def _lines(log: Path) -> Iterable[_LogLine]:
    decoder = msgspec.json.Decoder(_LogLine)
    for line in log.read_bytes().splitlines() if log.exists() else ():
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError:
            continue  # a killed process's last line, or words of the interpreter's own
