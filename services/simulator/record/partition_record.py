"""What the fleet sent, known without the hub: intents before a send, acknowledgements after it.

This format is an interface: others read it. In the folder `simulator` of the data directory:

- `p<PP>.ndjson`, one file a partition (two digits or more), one JSON object a line, in this order for a send:
    - `{"intent": N, "position": P, "seed": K, "first_at": T, "readings": [[vehicle, reading_no], ...],
      "after_us": [...]}` before it: N counts up by one per partition from 0; P is the last sequence number
      known to be in the partition before the send; a vehicle is its index in the fleet of seed K, its id
      `s<K>-v<index, six digits>`; the reading_at of each reading is T + its `after_us` microseconds.
    - `{"acked": N}` once the hub has accepted all of it.
- `bad-p<PP>.ndjson` likewise for bodies that are bad on purpose, each of them one event:
  `{"bad_intent": N, "position": P, "seed": K, "count": C}`, then `{"bad_acked": N}`.
- `fleet.json`: the runs, oldest first (runs.py).
- `p<PP>.snapshot.json`: a cache of the record's beginning, for a quick start; may be deleted.

At most the last intent of a file is unresolved (not acked): its process died between the two lines. The next
process looks in the hub, sends what is not there, and acks it before anything else (recovery.py).
A torn last line is no fact; it is cut off at the next start.
"""

from collections import defaultdict
from datetime import datetime
from pathlib import Path

import msgspec

from services.simulator.record.record_file import RecordFile
from shared.service.errors import NeedsAttention

SNAPSHOT_EVERY_BYTES = 4 * 2**20

# seed → vehicle index → its last reading_no
LastReadingNos = dict[int, dict[int, int]]


class Intent(msgspec.Struct, frozen=True):
    """A send of readings about to happen."""

    intent: int
    position: int
    seed: int
    first_at: datetime
    readings: list[tuple[int, int]]
    after_us: list[int]


class Acked(msgspec.Struct, frozen=True):
    acked: int


class BadIntent(msgspec.Struct, frozen=True):
    """A send of bad bodies about to happen."""

    bad_intent: int
    position: int
    seed: int
    count: int


class BadAcked(msgspec.Struct, frozen=True):
    bad_acked: int


class _Snapshot(msgspec.Struct, frozen=True):
    """What the first `size_bytes` of a partition's record come to; no intent in them is unresolved."""

    size_bytes: int
    next_intent: int
    last_reading_nos: LastReadingNos


_ACKED_START, _BAD_ACKED_START = b'{"acked"', b'{"bad_acked"'


class PartitionRecord:
    """The record of one partition's readings. `unresolved` is the intent whose fate is not known."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self._snapshot_path = file.path.with_suffix(".snapshot.json")
        self.next_intent = 0
        self.unresolved: Intent | None = None
        self.last_reading_nos: LastReadingNos = defaultdict(dict)
        self._snapshot_bytes = self._read_snapshot()
        for line in file.lines(self._snapshot_bytes):
            self._take(line)

    def intend(self, intent: Intent) -> None:
        """Note a send that is about to happen."""
        self._file.append(msgspec.json.encode(intent))
        self._take_intent(intent)

    def ack(self) -> None:
        """Note that the hub has all of the last intent."""
        self._file.append(msgspec.json.encode(Acked(self.next_intent - 1)))
        self.unresolved = None
        if self._file.size_bytes - self._snapshot_bytes >= SNAPSHOT_EVERY_BYTES:
            self._write_snapshot()

    def _take(self, line: bytes) -> None:
        try:
            if line.startswith(_ACKED_START):
                msgspec.json.decode(line, type=Acked)
                self.unresolved = None
            else:
                self._take_intent(msgspec.json.decode(line, type=Intent))
        except msgspec.MsgspecError as error:
            raise _unreadable(self._file.path, error) from error

    def _take_intent(self, intent: Intent) -> None:
        self.next_intent = intent.intent + 1
        self.unresolved = intent
        self.last_reading_nos[intent.seed].update(intent.readings)

    def _read_snapshot(self) -> int:
        """The bytes it stands for; 0 where there is none or it does not fit the record."""
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
    """The record of one partition's bad bodies. `unresolved` is the intent whose fate is not known."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self.next_intent = 0
        self.unresolved: BadIntent | None = None
        for line in file.lines():
            self._take(line)

    def intend(self, intent: BadIntent) -> None:
        """Note a send that is about to happen."""
        self._file.append(msgspec.json.encode(intent))
        self.next_intent, self.unresolved = intent.bad_intent + 1, intent

    def ack(self) -> None:
        """Note that the hub has all of the last intent."""
        self._file.append(msgspec.json.encode(BadAcked(self.next_intent - 1)))
        self.unresolved = None

    def _take(self, line: bytes) -> None:
        try:
            if line.startswith(_BAD_ACKED_START):
                msgspec.json.decode(line, type=BadAcked)
                self.unresolved = None
            else:
                self.unresolved = msgspec.json.decode(line, type=BadIntent)
                self.next_intent = self.unresolved.bad_intent + 1
        except msgspec.MsgspecError as error:
            raise _unreadable(self._file.path, error) from error


def record_path(folder: Path, partition: int) -> Path:
    return folder / f"p{partition:02d}.ndjson"


def bad_record_path(folder: Path, partition: int) -> Path:
    return folder / f"bad-p{partition:02d}.ndjson"


def replace_file(path: Path, body: bytes) -> None:
    """Have `path` hold `body`, or what it held before, whenever the process dies."""
    draft = path.with_suffix(".new")
    draft.write_bytes(body)
    draft.replace(path)


def _unreadable(path: Path, error: Exception) -> NeedsAttention:
    return NeedsAttention(
        f"{path} is no record of this simulator ({error}): move it away or name another --data"
    )
