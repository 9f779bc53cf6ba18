"""Records of the journal. Each record is one atomic change of the store."""

import msgspec

from services.emulator.storage.model.entries import ContainerEntry, Entry


class ContainerSet(msgspec.Struct, frozen=True, tag="container", omit_defaults=True):
    """Creation of a container, or a change of its entry."""

    container: str
    entry: ContainerEntry


class ContainerRemoved(msgspec.Struct, frozen=True, tag="container_removed"):
    """Removal of a container and everything in it."""

    container: str


class PathSet(msgspec.Struct, frozen=True, tag="path", omit_defaults=True):
    """Creation or change of a path. `staged` names the staged file that becomes the path's content."""

    container: str
    path: str
    entry: Entry
    staged: str = ""


class PathRemoved(msgspec.Struct, frozen=True, tag="removed"):
    """Removal of a file, or of a directory and everything below it."""

    container: str
    path: str


class PathRenamed(msgspec.Struct, frozen=True, tag="renamed"):
    """Rename of a file, or of a directory and everything below it.

    A path that has the new name is replaced.
    """

    source_container: str
    source: str
    container: str
    path: str


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """Opening of the store: every change before this line is on disk."""


Record = Opened | ContainerSet | ContainerRemoved | PathSet | PathRemoved | PathRenamed
