"""JSON pointers (RFC 6901), derived from the error messages of msgspec's decoders."""

import re

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


def pointer_to(message: str) -> str:
    """Return the JSON pointer to the value that a msgspec error message names.

    The pointer is relative to the document that was decoded.
    """
    path = _PATH.search(message)
    steps = [step["name"] or step["index"] for step in _STEP.finditer(path["path"])] if path else []
    if missing := _MISSING.search(message):
        steps.append(missing["name"])
    return "".join(f"/{escape_step(step)}" for step in steps)


def escape_step(name: str) -> str:
    """Return a field's name as one step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
