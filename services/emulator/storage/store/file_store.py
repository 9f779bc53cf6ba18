"""The store: keeps memory, journal and disk in step.

A change is one `commit`. Each record is appended to the journal, then applied on disk, then in memory.
If a kill comes between journal and disk, the next start completes the change: the client got no response,
but the change is whole. There is no `await` between these steps, so a change and the check of its
conditions are atomic.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from uuid import uuid4

import msgspec

from services.emulator.storage.model.entries import DIRECTORY_ACCESS, ContainerEntry, Entry, EtagClock
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import Namespace, Node, walk
from services.emulator.storage.model.records import (
    ContainerSet,
    Opened,
    PathRemoved,
    PathRenamed,
    PathSet,
    Record,
)
from services.emulator.storage.store.append_growth import AppendGrowth
from services.emulator.storage.store.disk import Disk, sync
from services.emulator.storage.store.journal import Journal
from services.emulator.storage.store.reconciliation import diff_containers, diff_paths
from services.emulator.storage.store.staging import Staging
from shared.service import failpoints
from shared.service.log_events import EventLog

log = EventLog(__name__)

_MIN_RECORDS_TO_REWRITE = 20_000


class FileStore:
    """The containers and files of one account.

    Methods raise Refused if the request cannot be fulfilled, and OSError if the disk fails.
    """

    def __init__(
        self, root: Path, account: str, *, fsync: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self.namespace = Namespace()
        self.etag_clock = EtagClock(clock)
        self.disk = Disk(root, account, fsync=fsync)
        self.staging = Staging(self.disk)
        self.append_growth = AppendGrowth(self.disk)
        self._fsync = fsync
        self._expiries_us: list[int] = []  # a heap; the entry of a deleted file has no effect
        self._journal = Journal(self.disk.meta / "journal", fsync=fsync)

    def open(self) -> None:
        """Read the journal, complete an interrupted change, and reconcile the entries with the disk."""
        self.disk.open()
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._journal.close()
        self.disk.close()

    def commit(self, *records: Record) -> None:
        """Write the records to the journal and apply them, in order."""
        for record in records:
            self._apply(record)
        self._rewrite_if_long()
        failpoints.reach("storage_committed")

    def remove_expired(self, now_us: int) -> None:
        """Remove the files whose expiry time has passed."""
        is_due = False
        while self._expiries_us and self._expiries_us[0] <= now_us:
            heappop(self._expiries_us)
            is_due = True
        if not is_due:
            return
        for name, container in self.namespace.containers.items():
            expired = [(p, n) for p, n in walk(container.root) if 0 < n.entry.expires_us <= now_us]
            for path, node in expired:
                self.remove(name, path, node)

    def put_file(self, container: str, path: str, entry: Entry, staged: str) -> None:
        """Put a complete staged file at a path, replacing an existing file, and create missing parents.

        Raises PathConflict if there is a directory at the path, or a file in place of a parent.
        """
        existing = self.namespace.entry(container, path)
        if existing is not None and existing.is_directory:
            raise Refused("PathConflict")
        if existing is not None and entry.lease is None:
            entry = msgspec.structs.replace(entry, lease=existing.lease)
        self.commit(*self._parent_records(container, path), PathSet(container, path, entry, staged))
        self._drop_uncommitted(container, path, existing)

    def put_directory(self, container: str, path: str, metadata: dict[str, str]) -> Entry:
        """Create a directory, or set the metadata of an existing one.

        Raises PathConflict if there is a file at the path or in place of a parent.
        """
        existing = self.namespace.entry(container, path)
        if existing is not None and not existing.is_directory:
            raise Refused("PathConflict")
        fresh = self.new_directory() if existing is None else self.new_version(existing)
        entry = msgspec.structs.replace(fresh, metadata=metadata)
        self.commit(*self._parent_records(container, path), PathSet(container, path, entry))
        return entry

    def rename(self, source_container: str, source: str, container: str, path: str) -> None:
        """Rename a path. Its entry keeps everything but the lease, which belonged to the old path."""
        existing = self.namespace.entry(container, path)
        moved = self.namespace.entry(source_container, source)
        records: list[Record] = [PathRenamed(source_container, source, container, path)]
        if moved is not None and moved.lease is not None:
            unleased = msgspec.structs.replace(moved, lease=None)
            records.insert(0, PathSet(source_container, source, unleased))
        self.commit(*records)
        self._drop_uncommitted(container, path, existing)

    def remove(self, container: str, path: str, node: Node) -> None:
        """Remove a file, or a directory and everything below it."""
        self.commit(PathRemoved(container, path))
        for _, child in walk(node):
            self.staging.drop_chunks(child.entry.file_id)
        self._drop_uncommitted(container, path, node.entry)

    def new_file(self, **fields: object) -> Entry:
        """Return a new file's entry, with a new etag and file id. The caller stores it."""
        now_us = self.etag_clock.now_us()
        fresh = Entry(self.etag_clock.next_etag(), now_us, now_us, file_id=uuid4().hex)
        return msgspec.structs.replace(fresh, **fields)

    def new_directory(self, **fields: object) -> Entry:
        now_us = self.etag_clock.now_us()
        fresh = Entry(self.etag_clock.next_etag(), now_us, now_us, is_directory=True, access=DIRECTORY_ACCESS)
        return msgspec.structs.replace(fresh, **fields)

    def new_version(self, entry: Entry, **fields: object) -> Entry:
        """Return a copy of the entry with changed fields, a new etag and a new modification time."""
        fields |= {"etag": self.etag_clock.next_etag(), "modified_us": self.etag_clock.now_us()}
        return msgspec.structs.replace(entry, **fields)

    def new_container(self, metadata: dict[str, str]) -> ContainerEntry:
        now_us = self.etag_clock.now_us()
        return ContainerEntry(self.etag_clock.next_etag(), now_us, now_us, metadata)

    def write_part(self, name: str, data: bytes) -> None:
        """Create a small staged file and write `data` to it."""
        with self.disk.staged_path(name).open("xb") as file:
            file.write(data)
            if self._fsync:
                file.flush()
                os.fsync(file.fileno())

    async def sync_part(self, name: str) -> None:
        """Sync a staged file before a record refers to it, if the store was opened with `fsync`."""
        if self._fsync:
            await asyncio.to_thread(sync, self.disk.staged_path(name))

    def _parent_records(self, container: str, path: str) -> list[Record]:
        """Return the records that create the missing directories above a path.

        Raises PathConflict if there is a file in place of one of them.
        """
        records: list[Record] = []
        segments = path.split("/")[:-1]
        for depth in range(1, len(segments) + 1):
            parent = "/".join(segments[:depth])
            if (entry := self.namespace.entry(container, parent)) is None:
                records.append(PathSet(container, parent, self.new_directory()))
            elif not entry.is_directory:
                raise Refused("PathConflict")
        return records

    def _drop_uncommitted(self, container: str, path: str, replaced: Entry | None) -> None:
        self.staging.drop_blocks(container, path)
        if replaced is not None:
            self.staging.drop_chunks(replaced.file_id)

    def _recover(self) -> None:
        records = self._journal.open()
        for record in records:
            self.namespace.apply(record)
            _observe_etag(self.etag_clock, record)
        if records:
            self._complete_change(records[-1])
        self._journal.append(Opened())
        self.disk.clear_parts()
        self.append_growth.truncate_tails(self._files())
        self._reconcile()
        self.staging.open({entry.file_id for _, entry in self._files()})
        self._expiries_us = sorted(entry.expires_us for _, entry in self._files() if entry.expires_us)
        self._rewrite_if_long()

    def _complete_change(self, last: Record) -> None:
        """Apply the last record on disk again, because a kill may have interrupted its change."""
        try:
            self.disk.apply(last)
        except OSError as exc:
            # It was never acknowledged, and `_reconcile` adopts what the disk holds instead.
            log.warning("change_not_completed", record=last, reason=str(exc))

    def _reconcile(self) -> None:
        """Record the differences between entries and disk, so that the entries match.

        The disk does not change.
        """
        for record in diff_containers(self.namespace, self.disk, self.etag_clock):
            self._record_only(record)
        for container in self.namespace.containers:
            for record in list(diff_paths(self.namespace, self.disk, self.etag_clock, container)):
                self._record_only(record)

    def _record_only(self, record: Record) -> None:
        self._journal.append(record)
        self.namespace.apply(record)

    def _files(self) -> Iterator[tuple[Path, Entry]]:
        for name, container in self.namespace.containers.items():
            for path, node in walk(container.root):
                if not node.entry.is_directory:
                    yield self.disk.locate(name, path), node.entry

    def _apply(self, record: Record) -> None:
        mark = self._journal.append(record)
        failpoints.reach("storage_recorded")
        try:
            self.disk.apply(record)
        except OSError:
            self._journal.roll_back(mark)
            raise
        self.namespace.apply(record)
        if isinstance(record, PathSet) and record.entry.expires_us:
            heappush(self._expiries_us, record.entry.expires_us)

    def _rewrite_if_long(self) -> None:
        if self._journal.record_count > max(_MIN_RECORDS_TO_REWRITE, 4 * self.namespace.path_count):
            self._journal.rewrite(self.namespace.records())


def _observe_etag(etag_clock: EtagClock, record: Record) -> None:
    if isinstance(record, ContainerSet | PathSet):
        etag_clock.observe(record.entry.etag)
