"""Append and flush, the way in which Data Lake clients write.

Appends may arrive in any order. A flush commits them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.emulator.storage.model.entries import BlobKind, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.staging import Chunk, Slice, assemble
from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.conditions import check_lease, check_write
from services.emulator.storage.wire.properties import WRITE_HEADERS, read_content_headers, version_headers
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response
from services.emulator.storage.wire.upload import receive

MAX_FILE_BYTES = 190_734 * 1024**3  # the service's limit for a block blob, about 190.7 TiB
_ATTEMPTS = 5


async def append(request: StorageRequest, store: FileStore) -> Response:
    _refuse_lease_action(request)
    position = _parse_position(request)
    check_block_blob(require_file(request, store))
    async with receive(request, store) as upload:
        # it may have been deleted or replaced while the body was received
        entry = require_file(request, store)
        check_lease(request, entry)
        if upload.size_bytes:
            store.staging.add_chunk(entry.file_id, position, upload.part, upload.size_bytes)
        headers = WRITE_HEADERS | upload.checksum_headers()
    if request.boolean_query("flush"):
        headers |= version_headers(await _flush(request, store, position + upload.size_bytes))
    return Response(202, headers)


async def flush(request: StorageRequest, store: FileStore) -> Response:
    _refuse_lease_action(request)
    entry = await _flush(request, store, _parse_position(request))
    return Response(200, version_headers(entry) | WRITE_HEADERS)


@asynccontextmanager
async def lock_file(request: StorageRequest, store: FileStore) -> AsyncIterator[Entry]:
    """Hold the file's append lock and yield the file's entry.

    Raises PathNotFound or PathConflict if there is no such file, and ServerBusy if other requests keep
    replacing it.
    """
    for _ in range(_ATTEMPTS):
        file_id = require_file(request, store).file_id
        async with store.append_growth.lock(file_id):
            entry = require_file(request, store)
            if entry.file_id == file_id:
                yield entry
                return
    raise Refused("ServerBusy", detail="the file is being replaced by others")


def recheck_file(request: StorageRequest, store: FileStore, entry: Entry) -> Entry:
    """Return the file's current entry after an `await`, and check lease and conditions of the write again.

    Raises ServerBusy if the file was replaced, and Refused if it is gone or a check fails.
    """
    now = require_file(request, store)
    if now.file_id != entry.file_id:
        raise Refused("ServerBusy", detail="the file was replaced while it was written")
    check_write(request, now)
    return now


def require_file(request: StorageRequest, store: FileStore) -> Entry:
    """Return the entry of the requested file.

    Raises PathNotFound if it does not exist, PathConflict if it is a directory.
    """
    entry = store.namespace.entry(request.container, request.path)
    if entry is None:
        raise Refused("PathNotFound")
    if entry.is_directory:
        raise Refused("PathConflict")
    return entry


async def _flush(request: StorageRequest, store: FileStore, position: int) -> Entry:
    """Commit the appends up to `position` as one change, and return the file's new entry.

    Raises InvalidFlushPosition if the appends do not fill the file up to `position` without a gap.
    """
    async with lock_file(request, store) as entry:
        check_block_blob(entry)
        check_write(request, entry)
        if position < entry.size_bytes:
            raise Refused("InvalidFlushPosition")
        chunks = store.staging.contiguous_chunks(entry.file_id, entry.size_bytes, position)
        async with _stage_content(request, store, entry, chunks) as staged:
            now = recheck_file(request, store, entry)
            known = msgspec.structs.replace(now.content, content_md5="") if chunks else now.content
            content = read_content_headers(request, known=known)
            changed = store.new_version(now, size_bytes=position, content=content, blocks=(), copied=None)
            store.commit(PathSet(request.container, request.path, changed, staged))
        retain = request.boolean_query("retainuncommitteddata")
        store.staging.drop_chunks(entry.file_id, before=position if retain else None)
        return changed


@asynccontextmanager
async def _stage_content(
    request: StorageRequest, store: FileStore, entry: Entry, chunks: list[Chunk]
) -> AsyncIterator[str]:
    """Yield the staged file to commit, or an empty name.

    The name is empty if the file grew in place, or if there is nothing to append.
    """
    slices = [Slice(store.disk.staged_path(chunk.name), 0, chunk.size_bytes) for chunk in chunks]
    try:
        if not chunks:
            yield ""
        elif entry.size_bytes:
            async with store.append_growth.extend(
                store.disk.locate(request.container, request.path), entry, slices
            ):
                yield ""
        elif len(chunks) == 1:
            await store.sync_part(chunks[0].name)  # the only append is the complete file
            yield chunks[0].name
        else:
            with store.disk.new_part() as part:
                await run_in_thread(assemble, slices, store.disk.staged_path(part))
                await store.sync_part(part)
                yield part
    except FileNotFoundError as exc:
        raise Refused(
            "ServerBusy", detail="the file was deleted, or appended to, while it was flushed"
        ) from exc


def check_block_blob(entry: Entry) -> None:
    """Check that the file is no append blob.

    Raises InvalidBlobType if it is one: only Append Block may change it.
    """
    if entry.kind is not BlobKind.BLOCK:
        raise Refused("InvalidBlobType")


def _refuse_lease_action(request: StorageRequest) -> None:
    if "x-ms-lease-action" in request.headers:
        raise Refused("NotImplemented", detail="leases taken or given up by an append or flush")


def _parse_position(request: StorageRequest) -> int:
    position = request.integer_query("position", maximum=MAX_FILE_BYTES)
    if position is None:
        raise Refused("MissingRequiredQueryParameter", detail="position")
    return position
