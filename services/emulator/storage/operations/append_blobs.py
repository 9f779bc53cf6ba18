"""Append blobs: each block goes behind the end at once, so that many writers can share a log."""

from services.emulator.storage.model.entries import BlobKind, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.operations.appends import alone, existing_file, still_there
from services.emulator.storage.operations.blob_tags import labels_of
from services.emulator.storage.operations.blobs import blob_content
from services.emulator.storage.operations.copy_source import received_or_copied
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.staging import MAX_BLOCKS, Slice
from services.emulator.storage.wire.conditions import check_create, check_write
from services.emulator.storage.wire.properties import WRITTEN, metadata_of, version_headers
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response

MAX_BLOCK_BYTES = 100 * 1024 * 1024


async def create_append_blob(request: StorageRequest, store: FileStore) -> Response:
    if request.content_length():
        raise Refused("InvalidHeaderValue", detail="Content-Length: an append blob begins empty")
    check_create(request, store.namespace.entry(request.container, request.path))
    entry = store.new_file(
        kind=BlobKind.APPEND,
        metadata=metadata_of(request),
        content=blob_content(request, ""),
        **labels_of(request),
    )
    with store.disk.part() as part:
        store.write_part(part, b"")
        store.put_file(request.container, request.path, entry, part)
    return Response(201, version_headers(entry) | WRITTEN)


async def append_block(request: StorageRequest, store: FileStore) -> Response:
    _check_append_blob(existing_file(request, store))
    async with received_or_copied(request, store) as upload, alone(request, store) as entry:
        if not 0 < upload.size_bytes <= MAX_BLOCK_BYTES:
            code = "RequestBodyTooLarge" if upload.size_bytes else "InvalidHeaderValue"
            raise Refused(code, detail="Content-Length")
        _check_append_blob(entry)
        check_write(request, entry)
        _check_position(request, entry, upload.size_bytes)
        pieces = [Slice(store.disk.staged(upload.part), 0, upload.size_bytes)]
        path = store.disk.path_of(request.container, request.path)
        async with store.growth.grown(path, entry, pieces):
            now = still_there(request, store, entry)
            changed = store.changed(
                now,
                size_bytes=now.size_bytes + upload.size_bytes,
                appended_blocks=now.appended_blocks + 1,
            )
            store.commit(PathSet(request.container, request.path, changed))
    described = {
        "x-ms-blob-append-offset": str(entry.size_bytes),
        "x-ms-blob-committed-block-count": str(changed.appended_blocks),
    }
    return Response(201, version_headers(changed) | WRITTEN | described | upload.checksums())


def _check_append_blob(entry: Entry) -> None:
    if entry.kind is not BlobKind.APPEND:
        raise Refused("InvalidBlobType")
    if entry.appended_blocks >= MAX_BLOCKS:
        raise Refused("BlockCountExceedsLimit")


def _check_position(request: StorageRequest, entry: Entry, added_bytes: int) -> None:
    position = request.integer_header("x-ms-blob-condition-appendpos")
    if position is not None and position != entry.size_bytes:
        raise Refused("AppendPositionConditionNotMet")
    max_size = request.integer_header("x-ms-blob-condition-maxsize")
    if max_size is not None and entry.size_bytes + added_bytes > max_size:
        raise Refused("MaxBlobSizeConditionNotMet")
