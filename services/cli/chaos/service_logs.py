"""Read back the logs of a run's services: one JSON object per line."""

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Line(msgspec.Struct):
    """A log line, reduced to the fields that the chaos run reads."""

    event: str = ""
    stream: str = ""
    partition: int | None = None
    next_sequence_number: int | None = None
    attempts: int = 0
    streams: list[dict[str, object] | str] = []

    @property
    def has_compacted(self) -> bool:
        """Return whether this line is the report of a compaction that merged raw files."""
        return any(isinstance(stream, dict) and bool(stream["raw_files"]) for stream in self.streams)


def read_lines(log: Path | None) -> Iterator[Line]:
    """Yield the JSON lines of a log. Other text is skipped, such as a killed process's torn last line."""
    decoder = msgspec.json.Decoder(Line)
    for line in log.read_bytes().splitlines() if log is not None and log.exists() else ():
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError:
            continue


def count(log: Path | None, event: str) -> int:
    """Return how often an event occurs in a log; 0 if there is no log."""
    return sum(line.event == event for line in read_lines(log))
