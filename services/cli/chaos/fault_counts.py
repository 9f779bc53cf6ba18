"""What really went wrong, counted by kind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from services.cli.chaos.schedule import Kind
from services.cli.chaos.service_logs import read_lines

# What the writers' logs tell.
TOLD = ("first_file_raced", "slot_lost", "swept")
# A run in which one of these did not happen has not seen everything.
NEEDED = (*(kind.value for kind in Kind), *TOLD)


class FaultCounts:
    """Counts; a fault that lies in wait in the emulator counts once it has struck."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._armed: dict[str, Kind] = {}
        self._struck: dict[str, int] = {}

    def happened(self, kind: Kind, times: int = 1) -> None:
        self._counts[kind] += times

    def has_happened(self, kind: Kind) -> bool:
        waiting = (fault_id for fault_id, armed in self._armed.items() if armed is kind)
        return self._counts[kind] > 0 or any(self._struck.get(fault_id) for fault_id in waiting)

    def armed(self, fault_id: str, kind: Kind) -> None:
        if fault_id in self._armed:  # the emulator came to its end by itself
            self.emulator_ended()
        self._armed[fault_id] = kind

    def see(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """The emulator's own list of faults, looked at now and then."""
        for fault in listed:
            if fault["id"] in self._armed:
                self._struck[fault["id"]] = max(fault["struck"], self._struck.get(fault["id"], 0))

    def emulator_ended(self) -> None:
        """Its next life counts its faults anew, under the same names."""
        for fault_id, struck in self._struck.items():
            self._counts[self._armed[fault_id]] += struck
        self._armed.clear()
        self._struck.clear()

    def counts(self, logs: Path, writers: Iterable[str]) -> dict[str, int]:
        """All of them: each kind, what the writers' logs tell besides, and kills at named points."""
        self.emulator_ended()
        failpoints = logs / "failpoints"
        killed = failpoints.read_text().split() if failpoints.exists() else []
        return {
            **{kind.value: self._counts[kind] for kind in Kind},
            **told_by([logs / f"{writer}.log" for writer in writers]),
            **Counter(f"killed_at_{name}" for name in killed),
        }


def told_by(writers: Iterable[Path]) -> dict[str, int]:
    """What came of the faults between the writers, by their logs.

    `slot_lost`: to another writer. `swept`: staged files, most of them of writers that live.
    `first_file_raced`: partitions that several writers were the first to open.
    """
    told = dict.fromkeys(TOLD, 0)
    openers: Counter[tuple[str, object]] = Counter()
    for log in writers:
        opened = set()
        for line in read_lines(log):
            if line.event == "partition_opened" and line.next == 0:
                opened.add((line.stream, line.partition))
            elif line.event == "staging_swept":
                told["swept"] += line.attempts
            elif line.event == "slot_lost":
                told["slot_lost"] += 1
        openers.update(opened)
    told["first_file_raced"] = sum(count > 1 for count in openers.values())
    return told
