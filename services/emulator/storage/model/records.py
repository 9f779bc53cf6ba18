"""What the journal says happened: one record is one atomic change of the store."""

import msgspec

from services.emulator.storage.model.entries import ContainerEntry, Entry


class ContainerSet(msgspec.Struct, frozen=True, tag="container", omit_defaults=True):
    """A container was created, or its metadata changed."""

    container: str
    entry: ContainerEntry


class ContainerRemoved(msgspec.Struct, frozen=True, tag="container_removed"):
    container: str


class PathSet(msgspec.Struct, frozen=True, tag="path", omit_defaults=True):
    """A path was created, written or described anew; `staged` names the file that became its content."""

    container: str
    path: str
    entry: Entry
    staged: str = ""


class PathRemoved(msgspec.Struct, frozen=True, tag="removed"):
    """A file, or a directory with all below it, is gone."""

    container: str
    path: str


class PathRenamed(msgspec.Struct, frozen=True, tag="renamed"):
    """A file, or a directory with all below it, has a new name; whatever had that name is gone."""

    source_container: str
    source: str
    container: str
    path: str


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The store was opened and every change before this line is on disk."""


Record = Opened | ContainerSet | ContainerRemoved | PathSet | PathRemoved | PathRenamed
