"""Differences between the journal and the disk at a start, as records that make the entries match the disk.

Users copy files into the tree, delete some, or delete `.meta`. At a start, new files get entries, entries
of deleted files are removed, and sizes that changed are recorded. Nothing on disk is changed.
"""

import os
from collections.abc import Iterator
from uuid import uuid4

import msgspec

from services.emulator.storage.model.entries import DIRECTORY_ACCESS, Access, ContainerEntry, Entry, EtagClock
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.names import check_container_name, normalize_path
from services.emulator.storage.model.namespace import Namespace, walk
from services.emulator.storage.model.records import (
    ContainerRemoved,
    ContainerSet,
    PathRemoved,
    PathSet,
    Record,
)
from services.emulator.storage.store.disk import Disk, scan
from shared.service.log_events import EventLog

log = EventLog(__name__)


def diff_containers(namespace: Namespace, disk: Disk, etag_clock: EtagClock) -> Iterator[Record]:
    on_disk = {
        folder.name for folder in disk.tree.iterdir() if folder.is_dir() and _is_container_name(folder.name)
    }
    for name in namespace.containers.keys() - on_disk:
        yield ContainerRemoved(name)
    for name in sorted(on_disk - namespace.containers.keys()):
        now_us = etag_clock.now_us()
        yield ContainerSet(name, ContainerEntry(etag_clock.next_etag(), now_us, now_us))


def diff_paths(namespace: Namespace, disk: Disk, etag_clock: EtagClock, container: str) -> Iterator[Record]:
    """Yield the records for one container, removals first.

    The caller must apply them before it calls this function for the next container.
    """
    known = {path: node.entry for path, node in walk(namespace.container(container).root)}
    on_disk: dict[str, Entry] = {}
    for path, child in scan(disk.locate(container, "")):
        if _is_path(path):
            on_disk[path] = _reconcile_entry(etag_clock, known.get(path), child)
    for path in known.keys() - on_disk.keys():
        if (
            path.rpartition("/")[0] in on_disk or "/" not in path
        ):  # the removal of a folder includes its files
            yield PathRemoved(container, path)
    for path, entry in on_disk.items():
        if known.get(path) is not entry:
            yield PathSet(container, path, entry)


def _reconcile_entry(etag_clock: EtagClock, known: Entry | None, item: os.DirEntry[str]) -> Entry:
    stat = item.stat(follow_symlinks=False)
    is_directory = item.is_dir(follow_symlinks=False)
    size_bytes, modified_us = 0 if is_directory else stat.st_size, stat.st_mtime_ns // 1000
    if known is None or known.is_directory != is_directory:
        access = DIRECTORY_ACCESS if is_directory else Access()
        file_id = "" if is_directory else uuid4().hex
        etag = etag_clock.next_etag()
        return Entry(etag, modified_us, modified_us, is_directory, size_bytes, file_id, access=access)
    if known.size_bytes == size_bytes:
        return known
    return msgspec.structs.replace(
        known,
        etag=etag_clock.next_etag(),
        modified_us=modified_us,
        size_bytes=size_bytes,
        blocks=(),
        content=msgspec.structs.replace(known.content, content_md5=""),
    )


def _is_container_name(name: str) -> bool:
    try:
        check_container_name(name)
    except Refused:
        return False
    return True


def _is_path(path: str) -> bool:
    try:
        normalize_path(path)
    except Refused:
        log.warning("file_not_served", path=path, reason="the service allows no such name")
        return False
    return True
