"""Owner, rights and access control lists, of one path or recursively. All are stored, never enforced."""

import msgspec

from services.emulator.storage.model import acls
from services.emulator.storage.model.entries import Access
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import walk
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_read, check_write
from services.emulator.storage.wire.continuation import cut_page, decode_token
from services.emulator.storage.wire.properties import entry_headers, version_headers
from services.emulator.storage.wire.request import StorageRequest, check_header_text
from services.emulator.storage.wire.response import JSON, Response

_MAX_RECORDS = 2000


async def set_access_control(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_write(request, entry)
    changed = store.new_version(entry, access=read_access(request, entry.access))
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200, version_headers(changed))


async def get_access_control(request: StorageRequest, store: FileStore) -> Response:
    """Return the rights of a path.

    The root has rights too, by which clients detect a hierarchical account.
    """
    entry = store.namespace.require_entry(request.container, request.path)
    check_read(request, entry)
    return Response(200, entry_headers(entry, request.now_us))


async def set_access_control_recursive(request: StorageRequest, store: FileStore) -> Response:
    """Change the rights of one page of paths, beginning with the directory itself.

    The response reports no failed path, because rights are not enforced.
    """
    mode, entries = _parse_recursive_change(request)
    directory = store.namespace.node(request.container, request.path)
    if directory is None:
        raise Refused("PathNotFound")
    base = f"{request.path}/" if request.path else ""
    continuation = request.query.get("continuation", "")
    size = min(request.integer_query("maxrecords") or _MAX_RECORDS, _MAX_RECORDS)
    page, token = cut_page(walk(directory, base, after=decode_token(continuation).removeprefix(base)), size)
    if not continuation:
        page.insert(0, (request.path, directory))
    changed = []
    for path, node in page:
        entry = node.entry
        access = acls.update_access(entry.access, mode, entries, is_directory=entry.is_directory)
        changed.append(PathSet(request.container, path, store.new_version(entry, access=access)))
    store.commit(*changed)
    directories = sum(record.entry.is_directory for record in changed)
    result = {
        "directoriesSuccessful": directories,
        "filesSuccessful": len(changed) - directories,
        "failureCount": 0,
        "failedEntries": [],
    }
    headers = {"Content-Type": JSON} | ({"x-ms-continuation": token} if token else {})
    return Response(200, headers, msgspec.json.encode(result))


def _parse_recursive_change(request: StorageRequest) -> tuple[acls.Mode, dict[str, str]]:
    try:
        mode = acls.Mode(request.query.get("mode", ""))
    except ValueError as exc:
        raise Refused("InvalidQueryParameterValue", detail="mode") from exc
    if "x-ms-acl" not in request.headers:
        raise Refused("MissingRequiredHeader", detail="x-ms-acl")
    return mode, acls.parse_entries(request.headers["x-ms-acl"], mode)


def read_access(request: StorageRequest, known: Access) -> Access:
    """Read owner, group, permissions and access control list from the headers.

    Values that the request does not give are taken from `known`.
    """
    header = request.headers.get
    access = Access(
        owner=header("x-ms-owner", known.owner),
        group=header("x-ms-group", known.group),
        permissions=header("x-ms-permissions", known.permissions),
        acl=header("x-ms-acl", known.acl),
    )
    for value in (access.owner, access.group, access.permissions, access.acl):
        check_header_text(value, "x-ms-acl")
    return access
