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
    """The folder `simulator` in a data directory, locked while it is entered as a context.

    Entering raises NeedsAttention if another process uses the folder.
    """

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
        """Open and read both records of a partition. They stay open until the context of the folder ends."""
        readings = self._open.enter_context(RecordFile(record_path(self.path, partition)))
        bad = self._open.enter_context(RecordFile(bad_record_path(self.path, partition)))
        return PartitionRecord(readings), BadBodyRecord(bad)
