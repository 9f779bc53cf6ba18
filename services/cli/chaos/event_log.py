"""What a run says on stdout while it goes on."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Tell = Callable[[Mapping[str, Any]], None]


def teller(*, as_json: bool) -> Tell:
    """Tells events one a line: as JSON for machines, as words for people."""

    def tell_json(event: Mapping[str, Any]) -> None:
        say(msgspec.json.encode(event).decode())

    def tell_text(event: Mapping[str, Any]) -> None:
        name, *rest = event.items()
        say("  ".join([str(name[1]).replace("_", " "), *(f"{key} {value}" for key, value in rest)]))

    return tell_json if as_json else tell_text


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
