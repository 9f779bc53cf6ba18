"""What the services of a run wrote to their logs: one JSON object a line."""

from collections.abc import Iterator
from pathlib import Path

import msgspec


class Line(msgspec.Struct):
    """What is asked of a line."""

    event: str = ""
    stream: str = ""
    partition: str | int = ""
    next: int | None = None
    attempts: int = 0
    streams: list[dict[str, object] | str] = []

    @property
    def has_compacted(self) -> bool:
        """Whether a compaction says here that it made raw files into others."""
        return any(isinstance(stream, dict) and bool(stream["raw_files"]) for stream in self.streams)


def lines(log: Path) -> Iterator[Line]:
    """All that are whole; a killed process's last one, and what the interpreter says itself, are not."""
    decoder = msgspec.json.Decoder(Line)
    for line in log.read_bytes().splitlines() if log.exists() else ():
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError:
            continue


def count(log: Path, event: str) -> int:
    """How often something happened, by this log."""
    return sum(line.event == event for line in lines(log))
