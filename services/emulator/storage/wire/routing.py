"""Routing of requests to operations. Blob storage and Data Lake share one port and the same URLs.

The method, the query parameters and a few headers, as the SDKs send them, tell the two apart.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from services.emulator.storage.model.entries import BlobKind
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest


class Dialect(StrEnum):
    """The dialect of an operation, which decides the format of errors: Blob's XML or Data Lake's JSON."""

    BLOB = "blob"
    DFS = "dfs"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the service.

    `level` is "s" (service), "c" (container) or "o" (object, that is a path). `permissions` holds letters of
    SAS permissions: a caller with any one of them may perform the operation, and so may a caller with each
    letter of `together`, if that is not empty.
    """

    name: str
    dialect: Dialect
    level: str
    permissions: str
    together: str = ""

    def is_allowed_by(self, permissions: AbstractSet[str]) -> bool:
        """Return whether a caller with these permissions may perform the operation."""
        if not permissions.isdisjoint(self.permissions):
            return True
        return bool(self.together) and permissions >= set(self.together)


_BLOB, _DFS = Dialect.BLOB, Dialect.DFS

OPERATIONS: dict[tuple[str, str, str], Operation] = {
    key: Operation(name, dialect, key[0], permissions)
    for key, name, dialect, permissions in (
        (("s", "GET", "list"), "list_containers", _BLOB, "l"),
        (("s", "GET", "account"), "list_file_systems", _DFS, "l"),
        (("s", "GET", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("s", "HEAD", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("s", "GET", "service:properties"), "get_service_properties", _BLOB, "r"),
        (("s", "POST", "service:userdelegationkey"), "get_user_delegation_key", _BLOB, "K"),
        (("c", "PUT", "container"), "create_container", _BLOB, "cw"),
        (("c", "PUT", "filesystem"), "create_container", _DFS, "cw"),
        (("c", "DELETE", "container"), "delete_container", _BLOB, "d"),
        (("c", "DELETE", "filesystem"), "delete_container", _DFS, "d"),
        (("c", "GET", "container"), "get_container_properties", _BLOB, "rl"),
        (("c", "HEAD", "container"), "get_container_properties", _BLOB, "rl"),
        (("c", "HEAD", "filesystem"), "get_file_system_properties", _DFS, "rl"),
        (("c", "GET", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("c", "HEAD", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("c", "GET", "container:acl"), "get_container_acl", _BLOB, "r"),
        (("c", "HEAD", "container:acl"), "get_container_acl", _BLOB, "r"),
        (("c", "GET", "container:metadata"), "get_container_properties", _BLOB, "rl"),
        (("c", "PUT", "container:metadata"), "set_container_metadata", _BLOB, "w"),
        (("c", "GET", "container:list"), "list_blobs", _BLOB, "l"),
        (("c", "GET", "filesystem"), "list_paths", _DFS, "l"),
        (("c", "HEAD", "getaccesscontrol"), "get_access_control", _DFS, "re"),
        (("c", "PATCH", "setaccesscontrol"), "set_access_control", _DFS, "p"),
        (("o", "PUT", "file"), "create_file", _DFS, "cw"),
        (("o", "PUT", "directory"), "create_directory", _DFS, "cw"),
        (("o", "PUT", "rename"), "rename", _DFS, "mw"),
        (("o", "PATCH", "append"), "append", _DFS, "aw"),
        (("o", "PATCH", "flush"), "flush", _DFS, "w"),
        (("o", "PATCH", "setproperties"), "set_properties", _DFS, "w"),
        (("o", "PATCH", "setaccesscontrol"), "set_access_control", _DFS, "p"),
        (("o", "PATCH", "setaccesscontrolrecursive"), "set_access_control_recursive", _DFS, "p"),
        (("c", "PATCH", "setaccesscontrolrecursive"), "set_access_control_recursive", _DFS, "p"),
        (("o", "HEAD", "getaccesscontrol"), "get_access_control", _DFS, "re"),
        (("o", "HEAD", "getstatus"), "get_status", _DFS, "re"),
        (("o", "DELETE", "delete_path"), "delete_path", _DFS, "d"),
        (("o", "PUT", "put"), "put_blob", _BLOB, "cw"),
        (("o", "PUT", "lease"), "lease_path", _BLOB, "w"),
        (("o", "POST", "lease"), "lease_path", _DFS, "w"),
        (("c", "PUT", "container:acl"), "set_container_acl", _BLOB, ""),  # the account's key alone
        (("s", "POST", "batch"), "submit_batch", _BLOB, "racwdxltmeop"),
        (("c", "POST", "container:batch"), "submit_batch", _BLOB, "racwdxltmeop"),
        (("c", "PUT", "container:lease"), "lease_container", _BLOB, "w"),
        (("o", "PUT", "append_blob"), "create_append_blob", _BLOB, "cw"),
        (("o", "PUT", "appendblock"), "append_block", _BLOB, "aw"),
        (("o", "PUT", "from_url"), "put_blob_from_url", _BLOB, "cw"),
        (("o", "PUT", "copy"), "copy_blob", _BLOB, "cw"),
        (("o", "PUT", "copy:abort"), "abort_copy", _BLOB, "w"),
        (("o", "PUT", "tags"), "set_tags", _BLOB, "tw"),
        (("o", "GET", "tags"), "get_tags", _BLOB, "tr"),
        (("o", "PUT", "tier"), "set_tier", _BLOB, "w"),
        (("o", "PUT", "expiry"), "set_expiry", _DFS, "w"),
        (("o", "PUT", "metadata"), "set_metadata", _BLOB, "w"),
        (("o", "PUT", "properties"), "set_http_headers", _BLOB, "w"),
        (("o", "PUT", "block"), "put_block", _BLOB, "cw"),
        (("o", "PUT", "blocklist"), "put_block_list", _BLOB, "cw"),
        (("o", "GET", "blocklist"), "get_block_list", _BLOB, "r"),
        (("o", "GET", ""), "get_blob", _BLOB, "r"),
        (("o", "HEAD", ""), "get_blob_properties", _BLOB, "r"),
        (("o", "GET", "metadata"), "get_blob_properties", _BLOB, "r"),
        (("o", "HEAD", "metadata"), "get_blob_properties", _BLOB, "r"),
        (("o", "GET", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("o", "HEAD", "account:properties"), "get_account_info", _BLOB, "rwlacu"),
        (("o", "DELETE", ""), "delete_blob", _BLOB, "d"),
    )
}


# Ignoring one of these would return or change the wrong data.
_UNSUPPORTED_PARAMETERS = {
    "snapshot",
    "versionid",
    "showonly",
    "endbefore",
    "deletetype",
}


_UNSUPPORTED_HEADERS = (
    "x-ms-if-tags",
    "x-ms-source-if-tags",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-source-encryption-key",
    "x-ms-immutability-policy-until-date",
    "x-ms-legal-hold",
    "x-ms-seal-blob",
    "x-ms-range-get-content-crc64",
    "x-ms-structured-body",
)


def find_operation(request: StorageRequest) -> Operation:
    """Return the requested operation. Raises Refused if the request or a part of it is not supported."""
    if unsupported := request.query.keys() & _UNSUPPORTED_PARAMETERS:
        raise Refused("NotImplemented", detail=f"parameter {', '.join(sorted(unsupported))}")
    for name in _UNSUPPORTED_HEADERS:
        if name in request.headers:
            raise Refused("UnsupportedHeader", detail=name)
    level = "o" if request.path else "c" if request.container else "s"
    action = _parse_action(request, level)
    if (operation := OPERATIONS.get((level, request.method, action))) is not None:
        return operation
    if any(key[0] == level and key[2] == action for key in OPERATIONS):
        raise Refused("UnsupportedHttpVerb")
    raise Refused("NotImplemented", detail=f"{request.method} {action or '(no comp)'}")


def guess_dialect(request: StorageRequest) -> Dialect:
    """Guess the dialect of a request from its form, for errors raised before the operation is known."""
    names = request.query.keys()
    is_dfs = request.method in {"PATCH", "POST"} or "resource" in names or "action" in names
    return Dialect.DFS if is_dfs or prefers_json(request) else Dialect.BLOB


def prefers_json(request: StorageRequest) -> bool:
    return "json" in request.headers.get("Accept", "")


def _parse_action(request: StorageRequest, level: str) -> str:
    query = request.query
    comp, action = query.get("comp", "").lower(), query.get("action", "").lower()
    if level == "o" and request.method == "PUT":
        return _parse_put_action(request, comp)
    if level == "o" and request.method == "DELETE" and not comp:
        # Both dialects delete; only Data Lake says `recursive`, or asks for JSON.
        return "delete_path" if "recursive" in query or prefers_json(request) else ""
    if action:
        return action
    if request.method == "POST" and "x-ms-lease-action" in request.headers:
        return "lease"
    restype = query.get("restype", "").lower()
    if comp and restype:
        return f"{restype}:{comp}"
    return comp or restype or query.get("resource", "").lower()


def _parse_put_action(request: StorageRequest, comp: str) -> str:
    if comp:
        return "copy:abort" if comp == "copy" else comp
    kind = request.headers.get("x-ms-blob-type")
    if "x-ms-rename-source" in request.headers:
        return "rename"
    if "x-ms-copy-source" in request.headers:
        return "from_url" if kind == BlobKind.BLOCK else "copy"
    if kind == BlobKind.APPEND:
        return "append_blob"
    return request.query.get("resource", "put").lower()
