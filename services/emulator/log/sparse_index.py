"""A sparse index of one segment: for a record about every 64 KiB, its sequence number, position and time."""

from array import array
from bisect import bisect_left, bisect_right
from pathlib import Path
from struct import Struct
from zlib import crc32

from services.emulator.log.records import RecordMark
from shared.service.atomic_file import replace_file

STRIDE_BYTES = 64 * 1024
_COLUMNS = 3
_CRC_BYTES = 4
_ROW = Struct("<qqqI")
ROW_BYTES = _ROW.size


class SparseIndex:
    """Sequence numbers, positions and times in three ascending columns.

    The index takes 24 bytes for every 64 KiB of events.
    """

    def __init__(self) -> None:
        self.sequence_numbers = array("q")
        self.positions = array("q")
        self.times_ms = array("q")

    def __len__(self) -> int:
        return len(self.positions)

    def note(self, mark: RecordMark) -> None:
        self.sequence_numbers.append(mark.sequence_number)
        self.positions.append(mark.position)
        self.times_ms.append(mark.enqueued_ms)

    def is_due(self, position: int) -> bool:
        return not self.positions or position - self.positions[-1] >= STRIDE_BYTES

    def before_sequence(self, sequence_number: int) -> int:
        """Return the position of a record from which a forward scan finds `sequence_number`."""
        return self._position(bisect_right(self.sequence_numbers, sequence_number) - 1)

    def before_time(self, enqueued_ms: int) -> int:
        """Return the position of a record from which a forward scan finds every event of `enqueued_ms`."""
        return self._position(bisect_left(self.times_ms, enqueued_ms) - 1)

    def before_position(self, position: int) -> int:
        """Return the position of a record at or before `position`."""
        return self._position(bisect_right(self.positions, position) - 1)

    def _position(self, row: int) -> int:
        return self.positions[row] if row >= 0 else 0

    def finish(self, last: RecordMark) -> None:
        """Add the segment's last record as the last row, so that the end is found without a scan."""
        if not self.positions or self.positions[-1] != last.position:
            self.note(last)

    def drop_last(self) -> None:
        for column in (self.sequence_numbers, self.positions, self.times_ms):
            column.pop()

    def rows(self, start: int = 0) -> bytes:
        """Encode the rows from number `start` on.

        Each row has its own crc, because rows are written one at a time.
        """
        encoded = []
        for row in range(start, len(self)):
            values = (self.sequence_numbers[row], self.positions[row], self.times_ms[row])
            encoded.append(_ROW.pack(*values, _row_crc(*values)))
        return b"".join(encoded)

    @classmethod
    def from_rows(cls, raw: bytes) -> "SparseIndex":
        """Decode rows up to the first row that is damaged or whose position does not ascend."""
        index = cls()
        for at in range(0, len(raw) - ROW_BYTES + 1, ROW_BYTES):
            sequence_number, position, enqueued_ms, crc = _ROW.unpack_from(raw, at)
            is_ascending = not index.positions or position > index.positions[-1]
            if crc != _row_crc(sequence_number, position, enqueued_ms) or not is_ascending:
                break
            index.note(RecordMark(position, position, sequence_number, enqueued_ms))
        return index

    def save(self, path: Path) -> None:
        body = b"".join(column.tobytes() for column in (self.sequence_numbers, self.positions, self.times_ms))
        replace_file(path, array("I", [crc32(body)]).tobytes() + body, is_durable=True)

    @classmethod
    def load(cls, path: Path) -> "SparseIndex | None":
        """Load a saved index; return None if the file is missing or damaged."""
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        body = raw[_CRC_BYTES:]
        rows, rest = divmod(len(body), 8 * _COLUMNS)
        if rest or not rows or raw[:_CRC_BYTES] != array("I", [crc32(body)]).tobytes():
            return None
        index = cls()
        columns = (index.sequence_numbers, index.positions, index.times_ms)
        for number, column in enumerate(columns):
            column.frombytes(body[number * rows * 8 : (number + 1) * rows * 8])
        return index


def _row_crc(sequence_number: int, position: int, enqueued_ms: int) -> int:
    return crc32(_ROW.pack(sequence_number, position, enqueued_ms, 0))
