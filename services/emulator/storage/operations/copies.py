"""Copies of blobs within the account. Each copy is complete before its response is sent."""

from uuid import uuid4

from services.emulator.storage.model.entries import CopyOrigin, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.operations.blob_tags import read_tags_and_tier
from services.emulator.storage.operations.blobs import read_blob_content
from services.emulator.storage.operations.copy_source import copy_to_part, find_source
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_create
from services.emulator.storage.wire.properties import (
    WRITE_HEADERS,
    copy_headers,
    read_metadata,
    version_headers,
)
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response


async def copy_blob(request: StorageRequest, store: FileStore) -> Response:
    """Handle Copy Blob and Copy Blob From URL. Both are synchronous in the emulator."""
    source = find_source(request, store)
    known = source.entry
    labels = read_tags_and_tier(request)
    async with copy_to_part(request, store, source) as upload:
        entry = store.new_file(
            size_bytes=upload.size_bytes,
            metadata=read_metadata(request) or known.metadata,
            content=known.content,
            copied=CopyOrigin(str(uuid4()), request.headers["x-ms-copy-source"].partition("?")[0]),
            tags=labels["tags"] or (known.tags if _copies_tags(request) else {}),
            tier=labels["tier"],
            kind=known.kind,
            appended_blocks=known.appended_blocks,
        )
        _put(request, store, entry, upload.part)
    return Response(202, version_headers(entry) | WRITE_HEADERS | copy_headers(entry))


async def put_blob_from_url(request: StorageRequest, store: FileStore) -> Response:
    """Create a block blob from the source's bytes and, unless the request declines it, its properties."""
    source = find_source(request, store)
    labels = read_tags_and_tier(request)
    async with copy_to_part(request, store, source) as upload:
        takes_properties = request.headers.get("x-ms-copy-source-blob-properties", "true").lower() == "true"
        content = source.entry.content if takes_properties else read_blob_content(request, upload.md5)
        entry = store.new_file(
            size_bytes=upload.size_bytes,
            metadata=read_metadata(request) or (source.entry.metadata if takes_properties else {}),
            content=content,
            tags=labels["tags"] or (source.entry.tags if _copies_tags(request) else {}),
            tier=labels["tier"],
        )
        _put(request, store, entry, upload.part)
    return Response(201, version_headers(entry) | WRITE_HEADERS | upload.checksum_headers())


async def abort_copy(request: StorageRequest, store: FileStore) -> Response:
    store.namespace.require_entry(request.container, request.path)
    raise Refused("NoPendingCopyOperation")


def _put(request: StorageRequest, store: FileStore, entry: Entry, part: str) -> None:
    check_create(request, store.namespace.entry(request.container, request.path))
    store.put_file(request.container, request.path, entry, part)


def _copies_tags(request: StorageRequest) -> bool:
    return request.headers.get("x-ms-copy-source-tag-option", "").upper() == "COPY"
