"""The place that a decoder's message names."""

import re

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


def pointer_to(message: str) -> str:
    """The place in a msgspec message, as a JSON pointer (RFC 6901) relative to what was decoded."""
    place = _PLACE.search(message)
    steps = [step["name"] or step["index"] for step in _STEP.finditer(place["path"])] if place else []
    if missing := _MISSING.search(message):
        steps.append(missing["name"])
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
