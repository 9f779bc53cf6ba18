"""Append blobs. Each block is appended to the blob immediately, so that many writers can share a log."""

from services.emulator.storage.model.entries import BlobKind, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.operations.appends import lock_file, recheck_file, require_file
from services.emulator.storage.operations.blob_tags import read_tags_and_tier
from services.emulator.storage.operations.blobs import read_blob_content
from services.emulator.storage.operations.copy_source import receive_or_copy
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.store.staging import MAX_BLOCKS, Slice
from services.emulator.storage.wire.conditions import check_create, check_write
from services.emulator.storage.wire.properties import WRITE_HEADERS, read_metadata, version_headers
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response

MAX_BLOCK_BYTES = 100 * 1024 * 1024


async def create_append_blob(request: StorageRequest, store: FileStore) -> Response:
    if request.content_length():
        raise Refused("InvalidHeaderValue", detail="Content-Length: an append blob begins empty")
    check_create(request, store.namespace.entry(request.container, request.path))
    entry = store.new_file(
        kind=BlobKind.APPEND,
        metadata=read_metadata(request),
        content=read_blob_content(request, ""),
        **read_tags_and_tier(request),
    )
    with store.disk.new_part() as part:
        store.write_part(part, b"")
        store.put_file(request.container, request.path, entry, part)
    return Response(201, version_headers(entry) | WRITE_HEADERS)


async def append_block(request: StorageRequest, store: FileStore) -> Response:
    _check_appendable(require_file(request, store))
    async with receive_or_copy(request, store) as upload, lock_file(request, store) as entry:
        if not 0 < upload.size_bytes <= MAX_BLOCK_BYTES:
            code = "RequestBodyTooLarge" if upload.size_bytes else "InvalidHeaderValue"
            raise Refused(code, detail="Content-Length")
        _check_appendable(entry)
        check_write(request, entry)
        _check_position(request, entry, upload.size_bytes)
        pieces = [Slice(store.disk.staged_path(upload.part), 0, upload.size_bytes)]
        path = store.disk.locate(request.container, request.path)
        async with store.append_growth.extend(path, entry, pieces):
            now = recheck_file(request, store, entry)
            changed = store.new_version(
                now,
                size_bytes=now.size_bytes + upload.size_bytes,
                appended_blocks=now.appended_blocks + 1,
            )
            store.commit(PathSet(request.container, request.path, changed))
    position_headers = {
        "x-ms-blob-append-offset": str(entry.size_bytes),
        "x-ms-blob-committed-block-count": str(changed.appended_blocks),
    }
    return Response(
        201, version_headers(changed) | WRITE_HEADERS | position_headers | upload.checksum_headers()
    )


def _check_appendable(entry: Entry) -> None:
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
