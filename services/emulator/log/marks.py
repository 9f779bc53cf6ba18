"""Records of the sequence numbers and offsets that may have been served, beyond what the segments hold.

If files were cut or damaged, the segments hold less than readers have seen. Still, a number or offset that
was served must never be used again. Two files in a partition's directory ensure this:

- `tail` holds the end of the log and is rewritten in place after every append. It is exact and, like
  everything that was written, survives the end of the process, kill -9 included.
- `marks.json` is durable. Numbers and offsets are reserved in it before they are used. After a power cut,
  `tail` may be older than what was served; the log then continues above the reservation, which leaves a
  gap but uses nothing twice. A clean end writes the exact end of the log into marks.json.
"""

import uuid
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import msgspec

from services.emulator.log.files import LogFile, OpenFiles, sync_file
from shared.service.atomic_file import replace_file

RESERVED_NUMBERS = 1 << 20
RESERVED_BYTES = 1 << 30
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FIELDS = Struct("<qqqqq")
_CRC = Struct("<I")


class LogMarks(msgspec.Struct, frozen=True):
    """The content of marks.json.

    `boot_id` is the id of the machine's boot during which the log was last written, or empty after a clean
    end, when everything is durable.
    """

    reserved_sequence: int = 0
    reserved_offset: int = 0
    boot_id: str = ""

    @classmethod
    def load(cls, directory: Path) -> "LogMarks | None":
        """Return the marks of a partition.

        Without a file, return marks of a new log; if the file is damaged, return None.
        """
        try:
            return msgspec.json.decode((directory / "marks.json").read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except msgspec.DecodeError:
            return None

    def save(self, directory: Path) -> None:
        replace_file(directory / "marks.json", msgspec.json.encode(self), is_durable=True)

    @property
    def are_of_this_boot(self) -> bool:
        """Whether everything written since these marks were saved must still be there.

        That is so if the machine has not restarted since, or if the log was ended cleanly.
        """
        return self.boot_id in {"", current_boot_id()}


class Tail(NamedTuple):
    """Where the log continues, and its last event.

    The fields of the last event are -1 if there never was one.
    """

    next_sequence: int = 0
    next_offset: int = 0
    last_sequence: int = -1
    last_offset: int = -1
    last_enqueued_ms: int = -1


class TailFile:
    """The file `tail` of a partition, which holds the end of its log."""

    def __init__(self, directory: Path, files: OpenFiles) -> None:
        self._file = LogFile(directory / "tail", files)

    def save(self, tail: Tail) -> None:
        fields = _FIELDS.pack(*tail)
        self._file.write(fields + _CRC.pack(crc32(fields)), 0)

    def load(self) -> Tail | None:
        """Return the saved tail, or None if the file is missing or damaged."""
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
    """The durable reservation of sequence numbers and offsets before their use."""

    def __init__(self, directory: Path, marks: LogMarks | None, tail_file: TailFile) -> None:
        self._directory = directory
        self._tail_file = tail_file
        is_ours = marks is not None and marks.boot_id == current_boot_id()
        self._marks = marks if is_ours and marks is not None else LogMarks()

    @property
    def is_saved(self) -> bool:
        return bool(self._marks.boot_id)

    def cover(self, tail: Tail, current: Tail) -> None:
        """Reserve numbers and offsets beyond `tail`, unless the reservation already covers it.

        Call this before the log grows from `current` to `tail`. Raises OSError if the reservation cannot be
        saved.
        """
        sequence, offset = tail.next_sequence, tail.next_offset
        if sequence <= self._marks.reserved_sequence and offset <= self._marks.reserved_offset:
            return
        if not self.is_saved:
            # Without a tail, the next start would continue above the reservation, which is more than is used.
            self._tail_file.save(current)
        self._save(sequence + RESERVED_NUMBERS, offset + RESERVED_BYTES, current_boot_id())

    def end(self, tail: Tail) -> None:
        """Record `tail` as the exact end of the log; everything must be durable already.

        Raises OSError if it cannot be saved.
        """
        self._save(tail.next_sequence, tail.next_offset, "")

    def _save(self, sequence: int, offset: int, boot_id: str) -> None:
        marks = LogMarks(sequence, offset, boot_id)
        marks.save(self._directory)
        self._marks = marks


def current_boot_id() -> str:
    """Return an id of the machine's current boot, or a random id if the system provides none."""
    try:
        return _BOOT_ID.read_text().strip()
    except FileNotFoundError:
        return str(uuid.uuid4())
