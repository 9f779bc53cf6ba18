"""The journal: one line per change, appended before the change is applied on disk.

A line is the CRC-32 of a record and the record as JSON, so that an incomplete line is recognised. A record
is written *before* its change: after a kill at most the last record's change is missing on disk, and the
next start applies it (see `FileStore`).
"""

import errno
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from services.emulator.storage.model.records import Record
from shared.service.errors import NeedsAttention

_CRC_CHARS = 8


class Journal:
    """An append-only file of records. `rewrite` replaces the file by a shorter one with the same result."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self._path = path
        self._fsync = fsync
        self._encoder = msgspec.json.Encoder()
        self._fd = -1
        self._size_bytes = 0
        self.record_count = 0

    def open(self) -> list[Record]:
        """Open the file and return its records. An incomplete last line is cut off.

        Raises NeedsAttention if the file is damaged in any other way.
        """
        raw = self._path.read_bytes() if self._path.exists() else b""
        whole = raw.rfind(b"\n") + 1
        records = list(_decode_lines(raw[:whole], self._path))
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if whole < len(raw):
            os.ftruncate(self._fd, whole)
        self._size_bytes, self.record_count = whole, len(records)
        return records

    def append(self, record: Record) -> int:
        """Append one record. Return the mark with which `roll_back` can remove the record."""
        mark = self._size_bytes
        line = self._encode_line(record)
        try:
            _write_line(self._fd, line)
            if self._fsync:
                os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, mark)
            raise
        self._size_bytes += len(line)
        self.record_count += 1
        return mark

    def roll_back(self, mark: int) -> None:
        """Remove the last record after its change failed on disk. `mark` is the result of `append`."""
        os.ftruncate(self._fd, mark)
        self._size_bytes = mark
        self.record_count -= 1

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace all records atomically: after a kill the file holds either all old or all new records."""
        lines = [self._encode_line(record) for record in records]
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
        self._size_bytes = sum(map(len, lines))
        self.record_count = len(lines)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _encode_line(self, record: Record) -> bytes:
        encoded = self._encoder.encode(record)
        return b"%08x %b\n" % (zlib.crc32(encoded), encoded)


def _decode_lines(raw: bytes, path: Path) -> Iterator[Record]:
    decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
    for number, line in enumerate(raw.splitlines(), 1):
        encoded = line[_CRC_CHARS + 1 :]
        if line[:_CRC_CHARS] != b"%08x" % zlib.crc32(encoded):
            raise NeedsAttention(
                f"{path} is damaged at line {number}; delete it to have the files scanned again"
            )
        yield decoder.decode(encoded)


def _write_line(fd: int, line: bytes) -> None:
    if os.write(fd, line) < len(line):
        raise OSError(errno.ENOSPC, "the journal took only a part of the line")
