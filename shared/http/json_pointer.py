"""JSON pointers (RFC 6901) from the messages of msgspec's decoders."""

import re

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


def pointer_to(message: str) -> str:
    """Return the pointer to the value that a msgspec message names, relative to what was decoded."""
    path = _PATH.search(message)
    steps = [step["name"] or step["index"] for step in _STEP.finditer(path["path"])] if path else []
    if missing := _MISSING.search(message):
        steps.append(missing["name"])
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
