"""The events that a run reports on stdout while it is in progress."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Report = Callable[[Mapping[str, Any]], None]


class Reporter:
    """A writer of events to stdout, one per line, as JSON or as words for people."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def report(self, event: Mapping[str, Any]) -> None:
        """Write an event to stdout. The value of the event's first field is its name."""
        if self._as_json:
            self.write_line(msgspec.json.encode(event).decode())
            return
        name, *rest = event.items()
        words = [str(name[1]).replace("_", " "), *(f"{key} {value}" for key, value in rest)]
        self.write_line("  ".join(words))

    @staticmethod
    def write_line(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
