"""Shared access signatures: for the account (`ss`, `srt`), or for a container, directory or file (`sr`)."""

import hmac
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from services.emulator.storage.auth.stored_policies import apply_policy
from services.emulator.storage.auth.user_delegation import (
    ENCRYPTION_SCOPE_SINCE,
    RESPONSE_HEADERS,
    DelegationKeys,
    delegated_strings_to_sign,
)
from services.emulator.storage.model.entries import StoredPolicy
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.routing import Operation

# Version that added lines to the signed text, among them the kind of resource.
_SIGNED_RESOURCE_SINCE = "2018-11-09"
# Version that added SAS of directories [Create a service SAS]. An older text does not say its kind, so that a
# SAS of a file could be used as one of a directory.
_DIRECTORIES_SINCE = "2020-02-10"

# What a SAS for a container allows in it beside its paths [Create a service SAS]. All else that concerns the
# container itself (its properties, metadata, access policies, leases, its deletion) needs a SAS for the
# account, or the account's key.
_IN_CONTAINER = frozenset(
    {
        "list_blobs",
        "list_paths",
        "get_access_control",
        "set_access_control",
        "set_access_control_recursive",
        "get_account_info",
        "submit_batch",  # each of its requests is authorized by itself
    }
)
# What the letter `c` allows only where nothing is yet [azure-storage-azcopy#833].
_CREATING = frozenset(
    {
        "put_blob",
        "put_block_list",
        "put_blob_from_url",
        "copy_blob",
        "create_append_blob",
        "create_file",
        "create_directory",
    }
)
# What a SAS for the account does not allow [Create an account SAS].
_BY_KEY_ALONE = frozenset({"get_container_acl", "set_container_acl", "get_user_delegation_key"})


def check_shared_access(
    request: StorageRequest,
    operation: Operation,
    sign: Callable[[str], str],
    delegation: DelegationKeys,
    policies: Sequence[StoredPolicy],
    now_s: float,
    *,
    is_there: bool,
) -> None:
    """Check that the request's signature is genuine, in force, and covers this operation on this path.

    Raises Refused if the signature fails one of these checks. `policies` are the stored access policies of
    the path's container. `is_there` is whether something is at the path already.
    """
    token = request.query
    if "skoid" in token:
        texts = delegated_strings_to_sign(token, _signed_resource(request, operation))
        signer_permissions = delegation.find_signer_permissions(token, texts)
        _check_times(token.get("skt", ""), token.get("ske", ""), now_s)
        terms, allowed = token, signer_permissions & set(token.get("sp", ""))
    else:
        if "ss" in token:
            _check_account_scope(token, operation)
            text = _account_string_to_sign(token, request.account)
        else:
            text = _service_string_to_sign(token, _signed_resource(request, operation))
        if not hmac.compare_digest(token["sig"].encode(), sign(text).encode()):
            raise Refused("AuthenticationFailed", detail="Signature did not match")
        # A SAS for the account has no policy [Create an account SAS], and would not sign its name.
        terms = token if "ss" in token else apply_policy(token, policies)
        allowed = frozenset(terms.get("sp", ""))
    _check_times(terms.get("st", ""), terms.get("se", ""), now_s)
    _check_origin(token, request)
    if not operation.is_allowed_by(allowed):
        raise Refused("AuthorizationPermissionMismatch")
    if is_there and operation.name in _CREATING and "w" not in allowed:
        raise Refused("UnauthorizedBlobOverwrite")


def _account_string_to_sign(token: Mapping[str, str], account: str) -> str:
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if token.get("sv", "") >= ENCRYPTION_SCOPE_SINCE:
        names.append("ses")
    return "".join(f"{line}\n" for line in (account, *(token.get(name, "") for name in names)))


def _service_string_to_sign(token: Mapping[str, str], resource: str) -> str:
    version = token.get("sv", "")
    lines = [token.get("sp", ""), token.get("st", ""), token.get("se", ""), resource, token.get("si", "")]
    lines += [token.get("sip", ""), token.get("spr", ""), version]
    if version >= _SIGNED_RESOURCE_SINCE:
        lines += [token.get("sr", ""), token.get("snapshot", "")]
    if version >= ENCRYPTION_SCOPE_SINCE:
        lines.append(token.get("ses", ""))
    return "\n".join(lines + [token.get(name, "") for name in RESPONSE_HEADERS])


def _check_account_scope(token: Mapping[str, str], operation: Operation) -> None:
    if "b" not in token["ss"]:
        raise Refused("AuthorizationServiceMismatch")
    if operation.level not in token.get("srt", ""):
        raise Refused("AuthorizationResourceTypeMismatch")
    if operation.name in _BY_KEY_ALONE:
        raise Refused("AuthorizationPermissionMismatch")


def _signed_resource(request: StorageRequest, operation: Operation) -> str:
    """Return the resource that a token must have been signed for if it covers this request's path.

    Raises Refused if the token's kind of resource (`sr`) cannot cover this operation.
    """
    is_path = operation.level == "o"
    if operation.level == "s" or not (is_path or operation.name in _IN_CONTAINER):
        raise Refused("AuthorizationResourceTypeMismatch")
    container = f"/blob/{request.account}/{request.container}"
    match request.query.get("sr"):
        case "c":
            return container
        case "d" if request.query.get("sv", "") >= _DIRECTORIES_SINCE:
            return "/".join([container, *_signed_directory(request, operation)])
        case "b" if is_path:
            return f"{container}/{request.path}"
        case _:
            raise Refused("AuthorizationResourceTypeMismatch")


def _signed_directory(request: StorageRequest, operation: Operation) -> list[str]:
    """Return the names of the directory that the request's path is in, as deep as the token says.

    Only the listing of paths names its directory in a parameter; other operations ignore that parameter.
    """
    listed = request.query.get("directory", "") if operation.name == "list_paths" else ""
    path = request.path or listed.strip("/")
    segments = path.split("/") if path else []
    depth = request.integer_query("sdd")
    if depth is None or depth > len(segments):
        raise Refused("AuthorizationPermissionMismatch")
    return segments[:depth]


def _check_times(starts: str, expires: str, now_s: float) -> None:
    start, expiry = _parse_time(starts), _parse_time(expires)
    now = datetime.fromtimestamp(now_s, UTC)
    if expiry is None or now >= expiry:
        raise Refused("AuthenticationFailed", detail="Signature not valid in the specified time frame")
    if start is not None and now < start:
        raise Refused("AuthenticationFailed", detail="Signature not valid in the specified time frame")


def _parse_time(value: str) -> datetime | None:
    if not value:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError as exc:
        raise Refused("AuthenticationFailed", detail="Signature fields not well formed") from exc
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _check_origin(token: Mapping[str, str], request: StorageRequest) -> None:
    if ("https" if request.is_secure else "http") not in token.get("spr", "https,http").split(","):
        raise Refused("AuthorizationProtocolMismatch")
    if not (allowed := token.get("sip")):
        return
    first, _, last = allowed.partition("-")
    try:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
        inside = int(low) <= int(ipaddress.ip_address(request.remote)) <= int(high)
    except ValueError as exc:
        raise Refused("AuthenticationFailed", detail="Signature fields not well formed") from exc
    if not inside:
        raise Refused("AuthorizationSourceIPMismatch")
