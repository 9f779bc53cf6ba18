"""The folder of the simulator's record, locked while in use."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from services.simulator.record.partition_record import (
    BadBodyRecord,
    PartitionRecord,
    bad_record_path,
    record_path,
)
from services.simulator.record.record_file import RecordFile
from shared.service.data_dir import lock_data_dir


class RecordFolder:
    """`simulator` in a data directory. Raises NeedsAttention if another process uses it."""

    def __init__(self, data: Path) -> None:
        self.path = data / "simulator"
        self.runs_path = self.path / "fleet.json"
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(lock_data_dir(self.path, "simulator"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def open_records(self, partition: int) -> tuple[PartitionRecord, BadBodyRecord]:
        """Read a partition's records; they stay open until the folder is closed."""
        readings = self._open.enter_context(RecordFile(record_path(self.path, partition)))
        bad = self._open.enter_context(RecordFile(bad_record_path(self.path, partition)))
        return PartitionRecord(readings), BadBodyRecord(bad)
