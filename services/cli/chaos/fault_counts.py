"""Counts, by kind, of the faults that really struck."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from services.cli.chaos.schedule import Kind
from services.cli.chaos.service_logs import read_lines

# Counted from the writers' logs.
LOGGED = ("first_file_raced", "slot_lost", "swept")
# A run in which one of these did not happen has not seen everything.
NEEDED = (*(kind.value for kind in Kind), *LOGGED)


class FaultCounts:
    """The number of faults that struck, by kind.

    A fault that is armed in the emulator is counted only once it has struck.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._armed: dict[str, Kind] = {}
        self._struck: dict[str, int] = {}

    def add(self, kind: Kind, times: int = 1) -> None:
        self._counts[kind] += times

    def has_happened(self, kind: Kind) -> bool:
        waiting = (fault_id for fault_id, armed in self._armed.items() if armed is kind)
        return self._counts[kind] > 0 or any(self._struck.get(fault_id) for fault_id in waiting)

    def note_armed(self, fault_id: str, kind: Kind) -> None:
        if fault_id in self._armed:  # the emulator ended by itself
            self.note_emulator_end()
        self._armed[fault_id] = kind

    def note_struck(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """Record how often each armed fault has struck, given the emulator's list of faults."""
        for fault in listed:
            if fault["id"] in self._armed:
                self._struck[fault["id"]] = max(fault["struck"], self._struck.get(fault["id"], 0))

    def note_emulator_end(self) -> None:
        """Save the counts of the armed faults, because the emulator has ended.

        A restarted emulator counts from 0 again and reuses the ids.
        """
        for fault_id, struck in self._struck.items():
            self._counts[self._armed[fault_id]] += struck
        self._armed.clear()
        self._struck.clear()

    def totals(self, logs: Path, writers: Iterable[str]) -> dict[str, int]:
        """Return the counts by kind, with the effects in the writers' logs and the kills at failpoints."""
        self.note_emulator_end()
        failpoints = logs / "failpoints"
        killed = failpoints.read_text().split() if failpoints.exists() else []
        return {
            **{kind.value: self._counts[kind] for kind in Kind},
            **count_logged([logs / f"{writer}.log" for writer in writers]),
            **Counter(f"killed_at_{name}" for name in killed),
        }


def count_logged(writers: Iterable[Path]) -> dict[str, int]:
    """Count the effects that faults had between the writers, as found in the writers' logs.

    `slot_lost`: how often a writer lost a slot to another writer.
    `swept`: staged files that were removed, most of them files of running writers.
    `first_file_raced`: partitions that several writers opened at sequence number 0.
    """
    counts = dict.fromkeys(LOGGED, 0)
    openers: Counter[tuple[str, object]] = Counter()
    for log in writers:
        opened = set()
        for line in read_lines(log):
            if line.event == "partition_opened" and line.next_sequence_number == 0:
                opened.add((line.stream, line.partition))
            elif line.event == "staging_swept":
                counts["swept"] += line.attempts
            elif line.event == "slot_lost":
                counts["slot_lost"] += 1
        openers.update(opened)
    counts["first_file_raced"] = sum(times > 1 for times in openers.values())
    return counts
