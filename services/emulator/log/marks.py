"""What a partition remembers beyond its segments: which numbers and offsets may have been served.

The segments say what survived, which is not all that readers saw where files were cut or damaged. A number
or an offset that was served once is never used again:

- `tail` says where the log ended, rewritten in place after every append. It is exact, and outlives the
  process, kill -9 included, like everything that was written.
- `marks.json` is durable. Numbers and offsets are reserved in it ahead of their use, so that after a power
  cut, when the tail may be older than what was served, the log goes on above the reservation: a gap, but
  nothing is used twice. A clean end leaves the exact end in it.
"""

import os
import uuid
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import msgspec

from services.emulator.log.files import LogFile, OpenFiles, sync_directory, sync_file

RESERVED_NUMBERS = 1 << 20
RESERVED_BYTES = 1 << 30
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FIELDS = Struct("<qqqqq")
_CRC = Struct("<I")


class LogMarks(msgspec.Struct, frozen=True):
    """`boot_id` is empty after a clean end: everything up to there was made durable."""

    reserved_sequence: int = 0
    reserved_offset: int = 0
    boot_id: str = ""

    @classmethod
    def load(cls, directory: Path) -> "LogMarks | None":
        """None where they cannot be read."""
        try:
            return msgspec.json.decode((directory / "marks.json").read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except msgspec.DecodeError:
            return None

    def save(self, directory: Path) -> None:
        scratch = directory / "marks.json-new"
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(directory / "marks.json")
        sync_directory(directory)

    @property
    def are_of_this_boot(self) -> bool:
        """Whether all that was written before is still as it was: the machine has not gone down since."""
        return self.boot_id in {"", current_boot_id()}


class Tail(NamedTuple):
    """Where the log goes on, and its last event; -1 while there never was one."""

    next_sequence: int = 0
    next_offset: int = 0
    last_sequence: int = -1
    last_offset: int = -1
    last_enqueued_ms: int = -1


class TailFile:
    def __init__(self, directory: Path, files: OpenFiles) -> None:
        self._file = LogFile(directory / "tail", files)

    def save(self, tail: Tail) -> None:
        fields = _FIELDS.pack(*tail)
        self._file.write(fields + _CRC.pack(crc32(fields)), 0)

    def load(self) -> Tail | None:
        """None where there is none, or none that is whole."""
        try:
            raw = self._file.path.read_bytes()
        except FileNotFoundError:
            return None
        fields = raw[: _FIELDS.size]
        if raw[_FIELDS.size :] != _CRC.pack(crc32(fields)):
            return None
        return Tail(*_FIELDS.unpack(fields))

    def sync(self) -> None:
        sync_file(self._file.path)

    def close(self) -> None:
        self._file.close()


class Reservation:
    """Numbers and offsets that every later start knows of before they are used."""

    def __init__(self, directory: Path, marks: LogMarks | None, tail_file: TailFile) -> None:
        self._directory = directory
        self._tail_file = tail_file
        is_ours = marks is not None and marks.boot_id == current_boot_id()
        self._marks = marks if is_ours and marks is not None else LogMarks()

    @property
    def is_made(self) -> bool:
        return bool(self._marks.boot_id)

    def cover(self, tail: Tail, current: Tail) -> None:
        """Before the log goes on from `current` to `tail`: reserve that and much more. Raises OSError."""
        sequence, offset = tail.next_sequence, tail.next_offset
        if sequence <= self._marks.reserved_sequence and offset <= self._marks.reserved_offset:
            return
        if not self.is_made:
            # Without a tail the reservation alone would count, and it says more than is used.
            self._tail_file.save(current)
        self._save(sequence + RESERVED_NUMBERS, offset + RESERVED_BYTES, current_boot_id())

    def end(self, tail: Tail) -> None:
        """Everything was made durable: `tail` is where the next start goes on. Raises OSError."""
        self._save(tail.next_sequence, tail.next_offset, "")

    def _save(self, sequence: int, offset: int, boot_id: str) -> None:
        marks = LogMarks(sequence, offset, boot_id)
        marks.save(self._directory)
        self._marks = marks


def current_boot_id() -> str:
    """Differs after each start of the machine; where the system has none, no two starts are the same."""
    try:
        return _BOOT_ID.read_text().strip()
    except FileNotFoundError:
        return str(uuid.uuid4())
