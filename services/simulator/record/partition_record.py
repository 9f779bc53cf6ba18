"""The record of what the fleet sent, known without the hub: intents before sends, acknowledgements after.

This format is an interface: other programs read it. The folder `simulator` of the data directory contains:

- `p<PP>.ndjson`, one file per partition (PP has two digits or more), with one JSON object per line. A send
  has these two lines, in this order:
    - `{"intent": N, "position": P, "seed": K, "first_at": T, "readings": [[vehicle, reading_no], ...],
      "after_us": [...]}` before the send. N counts up by one per partition from 0. P is the last sequence
      number known to be in the partition before the send. A vehicle is given by its index in the fleet of
      seed K; the vehicle's id is `s<K>-v<index, six digits>`. The reading_at of each reading is T plus the
      reading's `after_us` microseconds.
    - `{"acked": N}` once the hub has accepted all events of the send.
- `bad-p<PP>.ndjson`, the same for bodies that are bad on purpose, each of them one event:
  `{"bad_intent": N, "position": P, "seed": K, "count": C}`, then `{"bad_acked": N}`.
- `fleet.json`: the runs, oldest first (runs.py).
- `p<PP>.snapshot.json`: a cache of the record's beginning, for a quick start; this file may be deleted.

At most the last intent of a file is unresolved (not acked): the process that sent it died between the two
lines. The next process looks in the hub, sends what is not there, and acks the intent before it sends
anything else (recovery.py). A torn last line does not count; it is cut off at the next start.
"""

from collections import defaultdict
from datetime import datetime
from pathlib import Path

import msgspec

from services.simulator.record.record_file import RecordFile
from shared.service.atomic_file import replace_file
from shared.service.errors import NeedsAttention

SNAPSHOT_EVERY_BYTES = 4 * 2**20

# seed → vehicle index → its last reading_no
LastReadingNos = dict[int, dict[int, int]]


class Intent(msgspec.Struct, frozen=True):
    """The intent to send readings, recorded just before the send."""

    intent: int
    position: int
    seed: int
    first_at: datetime
    readings: list[tuple[int, int]]
    after_us: list[int]


class Acked(msgspec.Struct, frozen=True):
    acked: int


class BadIntent(msgspec.Struct, frozen=True):
    """The intent to send bad bodies, recorded just before the send."""

    bad_intent: int
    position: int
    seed: int
    count: int


class BadAcked(msgspec.Struct, frozen=True):
    bad_acked: int


class _Snapshot(msgspec.Struct, frozen=True):
    """The state after the first `size_bytes` of a partition's record, where no intent is unresolved."""

    size_bytes: int
    next_intent: int
    last_reading_nos: LastReadingNos


_ACKED_START, _BAD_ACKED_START = b'{"acked"', b'{"bad_acked"'


class PartitionRecord:
    """The record of one partition's readings.

    `unresolved` is the last intent if it is not acknowledged, else None.
    """

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self._snapshot_path = file.path.with_suffix(".snapshot.json")
        self.next_intent = 0
        self.unresolved: Intent | None = None
        self.last_reading_nos: LastReadingNos = defaultdict(dict)
        self._snapshot_bytes = self._read_snapshot()
        for line in file.read_lines(self._snapshot_bytes):
            self._apply(line)

    def intend(self, intent: Intent) -> None:
        """Record the intent of a send that is about to happen."""
        self._file.append(msgspec.json.encode(intent))
        self._apply_intent(intent)

    def ack(self) -> None:
        """Record that the hub has accepted all events of the last intent."""
        self._file.append(msgspec.json.encode(Acked(self.next_intent - 1)))
        self.unresolved = None
        if self._file.size_bytes - self._snapshot_bytes >= SNAPSHOT_EVERY_BYTES:
            self._write_snapshot()

    def _apply(self, line: bytes) -> None:
        try:
            if line.startswith(_ACKED_START):
                msgspec.json.decode(line, type=Acked)
                self.unresolved = None
            else:
                self._apply_intent(msgspec.json.decode(line, type=Intent))
        except msgspec.MsgspecError as error:
            raise _unreadable_record(self._file.path, error) from error

    def _apply_intent(self, intent: Intent) -> None:
        self.next_intent = intent.intent + 1
        self.unresolved = intent
        self.last_reading_nos[intent.seed].update(intent.readings)

    def _read_snapshot(self) -> int:
        """Load the snapshot, and return how many bytes of the record the snapshot covers.

        Returns 0 if there is no snapshot, or if the snapshot is unreadable or does not fit the record.
        """
        try:
            snapshot = msgspec.json.decode(self._snapshot_path.read_bytes(), type=_Snapshot)
        except (FileNotFoundError, msgspec.MsgspecError):
            return 0
        if not self._file.is_line_start(snapshot.size_bytes):
            return 0
        self.next_intent = snapshot.next_intent
        self.last_reading_nos.update(snapshot.last_reading_nos)
        return snapshot.size_bytes

    def _write_snapshot(self) -> None:
        self._snapshot_bytes = self._file.size_bytes
        snapshot = _Snapshot(self._snapshot_bytes, self.next_intent, self.last_reading_nos)
        replace_file(self._snapshot_path, msgspec.json.encode(snapshot))


class BadBodyRecord:
    """The record of one partition's bad bodies.

    `unresolved` is the last intent if it is not acknowledged, else None.
    """

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self.next_intent = 0
        self.unresolved: BadIntent | None = None
        for line in file.read_lines():
            self._apply(line)

    def intend(self, intent: BadIntent) -> None:
        """Record the intent of a send that is about to happen."""
        self._file.append(msgspec.json.encode(intent))
        self.next_intent, self.unresolved = intent.bad_intent + 1, intent

    def ack(self) -> None:
        """Record that the hub has accepted all events of the last intent."""
        self._file.append(msgspec.json.encode(BadAcked(self.next_intent - 1)))
        self.unresolved = None

    def _apply(self, line: bytes) -> None:
        try:
            if line.startswith(_BAD_ACKED_START):
                msgspec.json.decode(line, type=BadAcked)
                self.unresolved = None
            else:
                self.unresolved = msgspec.json.decode(line, type=BadIntent)
                self.next_intent = self.unresolved.bad_intent + 1
        except msgspec.MsgspecError as error:
            raise _unreadable_record(self._file.path, error) from error


def record_path(folder: Path, partition: int) -> Path:
    return folder / f"p{partition:02d}.ndjson"


def bad_record_path(folder: Path, partition: int) -> Path:
    return folder / f"bad-p{partition:02d}.ndjson"


def _unreadable_record(path: Path, error: Exception) -> NeedsAttention:
    return NeedsAttention(
        f"{path} is no record of this simulator ({error}): move it away or name another --data"
    )
