"""Operations on one blob: put, get, properties, metadata, delete."""

import base64
import hashlib
import os

import msgspec

from services.emulator.storage.model.entries import BlobKind, ContentHeaders
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.operations.blob_tags import read_tags_and_tier
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_create, check_read, check_write
from services.emulator.storage.wire.properties import (
    WRITE_HEADERS,
    entry_headers,
    read_content_headers,
    read_metadata,
    version_headers,
)
from services.emulator.storage.wire.request import StorageRequest, check_header_text, parse_byte_range
from services.emulator.storage.wire.response import FileRange, Response
from services.emulator.storage.wire.upload import receive

_MAX_CHECKED_RANGE_BYTES = 4 * 1024 * 1024


async def put_blob(request: StorageRequest, store: FileStore) -> Response:
    if (kind := request.headers.get("x-ms-blob-type", "")) != BlobKind.BLOCK:
        raise Refused("NotImplemented" if kind else "MissingRequiredHeader", detail=f"x-ms-blob-type {kind}")
    labels = read_tags_and_tier(request)
    metadata = read_metadata(request)
    async with receive(request, store) as upload:
        check_create(request, store.namespace.entry(request.container, request.path))
        if metadata.pop("hdi_isfolder", "").lower() == "true":  # blob clients create directories this way
            entry = store.put_directory(request.container, request.path, metadata)
        else:
            entry = store.new_file(
                size_bytes=upload.size_bytes,
                metadata=metadata,
                content=read_blob_content(request, upload.md5),
                **labels,
            )
            store.put_file(request.container, request.path, entry, upload.part)
    return Response(201, version_headers(entry) | WRITE_HEADERS | upload.checksum_headers())


async def get_blob(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_read(request, entry)
    headers = entry_headers(entry, request.now_us)
    if entry.is_directory:
        return Response(200, headers)
    try:
        fd = os.open(store.disk.locate(request.container, request.path), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError as exc:
        raise Refused("PathNotFound", detail="deleted from the disk by hand") from exc
    header = request.headers.get("x-ms-range") or request.headers.get("Range")
    try:
        # bytes behind the recorded size are not committed
        size_bytes = min(entry.size_bytes, os.fstat(fd).st_size)
        requested = None if header is None else parse_byte_range(header, size_bytes, "range")
    except Refused:
        os.close(fd)
        raise
    if requested is None:
        return Response(200, headers, file=FileRange(fd, 0, size_bytes))
    start, end = requested
    if md5 := headers.pop("Content-MD5", ""):
        headers["x-ms-blob-content-md5"] = md5
    if request.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
        headers["Content-MD5"] = _hash_range(fd, start, end)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    return Response(206, headers, file=FileRange(fd, start, end - start))


async def get_blob_properties(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_read(request, entry)
    return Response(200, entry_headers(entry, request.now_us) | {"Content-Length": str(entry.size_bytes)})


async def set_metadata(request: StorageRequest, store: FileStore) -> Response:
    """Replace the metadata.

    Checkpoint stores rely on the response 412 to `If-None-Match: *` if the blob exists.
    """
    entry = store.namespace.require_entry(request.container, request.path)
    check_write(request, entry)
    changed = store.new_version(entry, metadata=read_metadata(request))
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200, version_headers(changed) | WRITE_HEADERS)


async def set_http_headers(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_write(request, entry)
    changed = store.new_version(entry, content=read_content_headers(request, prefix="x-ms-blob-"))
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200, version_headers(changed) | WRITE_HEADERS)


async def delete_blob(request: StorageRequest, store: FileStore) -> Response:
    if (node := store.namespace.node(request.container, request.path)) is None:
        raise Refused("PathNotFound")
    check_write(request, node.entry)
    if node.children:
        raise Refused("DirectoryNotEmpty")
    store.remove(request.container, request.path, node)
    return Response(202, {"x-ms-delete-type-permanent": "true"})


def read_blob_content(request: StorageRequest, md5: str) -> ContentHeaders:
    """Read the content headers of a blob: `x-ms-blob-*`, else the Content-Type and the digest of the body."""
    sent = ContentHeaders(content_md5=md5)
    if "Content-Type" in request.headers and "comp" not in request.query:
        check_header_text(request.headers["Content-Type"], "Content-Type")
        sent = msgspec.structs.replace(sent, content_type=request.headers["Content-Type"])
    return read_content_headers(request, prefix="x-ms-blob-", known=sent)


def _hash_range(fd: int, start: int, end: int) -> str:
    if end - start > _MAX_CHECKED_RANGE_BYTES:
        os.close(fd)
        raise Refused("OutOfRangeInput", detail="x-ms-range-get-content-md5 goes with ranges up to 4 MiB")
    digest = hashlib.md5(os.pread(fd, end - start, start), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
