"""Append and flush: how Data Lake clients write. Appends may come in any order; flush makes them the file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.emulator.storage.answer import Answer
from services.emulator.storage.conditions import check_lease, check_write
from services.emulator.storage.entries import Entry
from services.emulator.storage.errors import Refused
from services.emulator.storage.file_store import FileStore
from services.emulator.storage.properties import WRITTEN, content_of, version_headers
from services.emulator.storage.records import PathSet
from services.emulator.storage.request import StorageRequest
from services.emulator.storage.staging import Chunk, Slice, assemble
from services.emulator.storage.upload import receive

MAX_FILE_BYTES = 190_734 * 1024**3  # the service's limit for a block blob, about 190.7 TiB
_ATTEMPTS = 5


async def append(request: StorageRequest, store: FileStore) -> Answer:
    _check_served(request)
    position = _position(request)
    _file(request, store)
    async with receive(request, store) as upload:
        entry = _file(request, store)  # it may have been deleted or replaced while the body came in
        check_lease(request, entry)
        if upload.size_bytes:
            store.staging.add_chunk(entry.file_id, position, upload.part, upload.size_bytes)
        headers = WRITTEN | {"Content-MD5": upload.md5}
    if request.boolean_query("flush"):
        headers |= version_headers(await _flush(request, store, position + upload.size_bytes))
    return Answer(202, headers)


async def flush(request: StorageRequest, store: FileStore) -> Answer:
    _check_served(request)
    entry = await _flush(request, store, _position(request))
    return Answer(200, version_headers(entry) | WRITTEN)


async def _flush(request: StorageRequest, store: FileStore, position: int) -> Entry:
    """Put the file together beside its place, then let it take the place at once.

    Where the file changed while it was put together, it is put together again from what it is now.
    """
    for _ in range(_ATTEMPTS):
        entry = _file(request, store)
        check_write(request, entry)
        if position < entry.size_bytes:
            raise Refused("InvalidFlushPosition")
        chunks = store.staging.contiguous_chunks(entry.file_id, entry.size_bytes, position)
        async with _assembled(request, store, entry, chunks) as staged:
            if staged is None or store.namespace.entry(request.container, request.path) is not entry:
                continue
            content = content_of(request, known=entry.content)
            changed = store.changed(entry, size_bytes=position, content=content, blocks=(), copied=None)
            store.commit(PathSet(request.container, request.path, changed, staged))
        retain = request.boolean_query("retainuncommitteddata")
        store.staging.drop_chunks(entry.file_id, before=position if retain else None)
        return changed
    raise Refused("ServerBusy", detail="the file is being written by others")


@asynccontextmanager
async def _assembled(
    request: StorageRequest, store: FileStore, entry: Entry, chunks: list[Chunk]
) -> AsyncIterator[str | None]:
    """The staged file to commit: empty where nothing is new, None where its pieces went away meanwhile."""
    if not chunks:
        yield ""
    elif entry.size_bytes == 0 and len(chunks) == 1:
        await store.sync_part(chunks[0].name)  # the first and only append is the file already
        yield chunks[0].name
    else:
        committed = Slice(store.disk.path_of(request.container, request.path), 0, entry.size_bytes)
        appended = [Slice(store.disk.staged(chunk.name), 0, chunk.size_bytes) for chunk in chunks]
        ready = None
        with store.disk.part() as part:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(assemble, [committed, *appended], store.disk.staged(part))
                await store.sync_part(part)
                ready = part
            yield ready


def _check_served(request: StorageRequest) -> None:
    if "x-ms-lease-action" in request.headers:
        raise Refused("NotImplemented", detail="leases taken or given up by an append or flush")


def _file(request: StorageRequest, store: FileStore) -> Entry:
    entry = store.namespace.entry(request.container, request.path)
    if entry is None:
        raise Refused("PathNotFound")
    if entry.is_directory:
        raise Refused("PathConflict")
    return entry


def _position(request: StorageRequest) -> int:
    position = request.integer_query("position", maximum=MAX_FILE_BYTES)
    if position is None:
        raise Refused("MissingRequiredQueryParameter", detail="position")
    return position
