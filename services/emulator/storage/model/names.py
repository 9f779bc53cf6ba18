"""Rules for the names of containers and paths. No I/O."""

import re

from services.emulator.storage.model.errors import Refused

MAX_PATH_CHARS = 1024
MAX_SEGMENTS = 63  # the service's limit for hierarchical namespaces
MAX_SEGMENT_BYTES = 255  # limit of file names on the disks we know
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTAINER_NAME = re.compile(r"\$(?:root|web|logs)|[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,62}")


def check_container_name(name: str) -> None:
    """Check a container's name. Raises InvalidResourceName if the service does not allow the name."""
    if not _CONTAINER_NAME.fullmatch(name):
        raise Refused("InvalidResourceName", detail="container")


def normalize_path(path: str) -> str:
    """Return the path without a trailing slash.

    Raises InvalidResourceName if the path is too long or too deep, has unprintable characters, or has a
    segment that is empty, `.`, `..` or too long.
    """
    path = path.removesuffix("/")
    if not path:
        return ""
    segments = path.split("/")
    if len(path) > MAX_PATH_CHARS or len(segments) > MAX_SEGMENTS or UNPRINTABLE.search(path):
        raise Refused("InvalidResourceName")
    for segment in segments:
        if segment in {"", ".", ".."} or len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise Refused("InvalidResourceName", detail=f"segment {segment[:40]!r}")
    return path
