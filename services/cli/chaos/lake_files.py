"""The position of the lake in each partition, read from its files on this machine's disk."""

import re
from pathlib import Path

import pyarrow.parquet as pq

_RAW = Path("storage/devstoreaccount1/lake/raw")
_SLOT = re.compile(r"p(\d+)-(\d{20})\.parquet")


def newest_files(data: Path, stream: str) -> dict[int, tuple[int, Path]]:
    """Return, by partition, the newest committed file and the sequence number in its name.

    All events below that sequence number have landed.
    """
    newest: dict[int, tuple[int, Path]] = {}
    for path in (data / _RAW / stream).glob("date=*/hour=*/p*.parquet"):
        if named := _SLOT.fullmatch(path.name):
            partition, first = int(named[1]), int(named[2])
            newest[partition] = max(newest.get(partition, (-1, path)), (first, path))
    return newest


def landed_through(data: Path, stream: str) -> dict[int, int]:
    """Return, by partition, the last sequence number in the lake.

    Partitions without a file are left out.
    """
    return {
        partition: int((pq.read_metadata(path).metadata or {})[b"next_first"]) - 1
        for partition, (_, path) in newest_files(data, stream).items()
    }
