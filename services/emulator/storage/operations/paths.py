"""Data Lake operations on paths: create, rename, delete, list, properties."""

import msgspec

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.entries import Access, Entry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import walk
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.operations.access_control import read_access
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_create, check_read, check_write
from services.emulator.storage.wire.continuation import cut_page, first_key, page_size
from services.emulator.storage.wire.properties import (
    WRITE_HEADERS,
    describe_path,
    encode_properties,
    entry_headers,
    read_content_headers,
    read_properties,
    version_headers,
)
from services.emulator.storage.wire.request import StorageRequest, parse_source
from services.emulator.storage.wire.response import JSON, Response


async def create_file(request: StorageRequest, store: FileStore) -> Response:
    """Create an empty file and its missing parent directories. An existing file is replaced."""
    check_create(request, store.namespace.entry(request.container, request.path))
    entry = store.new_file(
        metadata=read_properties(request),
        content=read_content_headers(request),
        access=read_access(request, Access()),
    )
    if "x-ms-proposed-lease-id" in request.headers:
        lease = lease_terms.acquire(None, request.headers, "", request.now_us)
        entry = msgspec.structs.replace(entry, lease=lease)
    with store.disk.new_part() as part:
        store.write_part(part, b"")
        store.put_file(request.container, request.path, entry, part)
    return Response(201, version_headers(entry) | WRITE_HEADERS)


async def create_directory(request: StorageRequest, store: FileStore) -> Response:
    check_create(request, store.namespace.entry(request.container, request.path))
    entry = store.put_directory(request.container, request.path, read_properties(request))
    return Response(201, version_headers(entry) | WRITE_HEADERS)


async def rename(request: StorageRequest, store: FileStore) -> Response:
    """Rename a path, which keeps its etag and metadata. The new parent directory must exist."""
    source_container, source, _ = parse_source(request.headers["x-ms-rename-source"], request.account)
    if (entry := store.namespace.entry(source_container, source)) is None:
        raise Refused("SourcePathNotFound")
    check_write(request, entry, prefix="x-ms-source-")
    container, path = request.container, request.path
    existing = store.namespace.entry(container, path)
    check_create(request, existing)
    if (source_container, source) != (container, path):
        _check_destination(store, request, entry, existing, source)
        store.rename(source_container, source, container, path)
    return Response(201, version_headers(entry) | WRITE_HEADERS)


async def delete_path(request: StorageRequest, store: FileStore) -> Response:
    if (node := store.namespace.node(request.container, request.path)) is None:
        raise Refused("PathNotFound")
    check_write(request, node.entry)
    if node.children and not request.boolean_query("recursive"):
        raise Refused("DirectoryNotEmpty")
    store.remove(request.container, request.path, node)
    return Response(202 if "recursive" not in request.query else 200)


async def set_properties(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_write(request, entry)
    fields: dict[str, object] = {"content": read_content_headers(request)}
    if "x-ms-properties" in request.headers:
        fields["metadata"] = read_properties(request)
    changed = store.new_version(entry, **fields)
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200, version_headers(changed) | WRITE_HEADERS)


async def get_status(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_read(request, entry)
    return Response(
        200, entry_headers(entry, request.now_us) | {"x-ms-properties": encode_properties(entry.metadata)}
    )


async def list_paths(request: StorageRequest, store: FileStore) -> Response:
    directory = request.query.get("directory", "").strip("/")
    node = store.namespace.node(request.container, directory)
    if node is None or not node.entry.is_directory:
        raise Refused("PathNotFound")
    base = f"{directory}/" if directory else ""
    after, inclusive = first_key(request, "continuation", "beginfrom")
    paths = walk(
        node,
        base,
        after=after if inclusive else after.removeprefix(base),  # a start is relative to the directory
        inclusive=inclusive,
        recursive=request.boolean_query("recursive"),
    )
    page, token = cut_page(paths, page_size(request))
    headers = {"Content-Type": JSON} | ({"x-ms-continuation": token} if token else {})
    return Response(
        200, headers, msgspec.json.encode({"paths": [describe_path(p, n.entry) for p, n in page]})
    )


def _check_destination(
    store: FileStore, request: StorageRequest, entry: Entry, existing: Entry | None, source: str
) -> None:
    container, path = request.container, request.path
    parent = store.namespace.entry(container, path.rpartition("/")[0])
    if parent is None:
        raise Refused("RenameDestinationParentPathNotFound")
    if not parent.is_directory:
        raise Refused("PathConflict")
    if path.startswith(f"{source}/"):
        raise Refused("InvalidRenameSourcePath")
    if existing is None:
        return
    if existing.is_directory != entry.is_directory:
        raise Refused("InvalidSourceOrDestinationResourceType")
    if (node := store.namespace.node(container, path)) is not None and node.children:
        raise Refused("PathAlreadyExists", detail="a directory that holds something is not replaced")
