"""What a partition remembers beyond its segments: which numbers may have been served, and its last event.

The segments alone say what survived. After a kill -9 that is everything, since the page cache outlives the
process; after a power cut the newest events may be gone although readers saw them. So numbers are reserved
ahead, durably, and a start after another boot goes on above the reservation: a gap, but no number used twice.
"""

import os
from pathlib import Path

import msgspec

from services.emulator.event_hubs.segment import sync_directory

RESERVATION = 1 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LogMarks(msgspec.Struct, frozen=True):
    """`boot_id` is empty after a clean end: everything up to there was made durable."""

    reserved_sequence: int = 0
    boot_id: str = ""
    last_offset: str = "-1"
    last_enqueued_ms: int | None = None

    @classmethod
    def load(cls, directory: Path) -> "LogMarks":
        try:
            return msgspec.json.decode((directory / "marks.json").read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()

    def save(self, directory: Path) -> None:
        scratch = directory / "marks.json-new"
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(directory / "marks.json")
        sync_directory(directory)


def current_boot_id() -> str:
    """Differs after each start of the machine; "unknown" never equals a start before it."""
    try:
        return _BOOT_ID.read_text().strip()
    except FileNotFoundError:
        return "unknown"
