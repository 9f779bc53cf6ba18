"""Lease operations on paths and containers. They change neither etag nor modification time."""

from uuid import uuid4

import msgspec

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.lease_terms import Lease
from services.emulator.storage.model.records import ContainerSet, PathSet
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_conditions
from services.emulator.storage.wire.properties import version_headers
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response

_STATUS = {"acquire": 201, "renew": 200, "change": 200, "release": 200, "break": 202}


async def lease_path(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.require_entry(request.container, request.path)
    check_conditions(request, entry)
    lease = _apply_action(request, entry.lease)
    store.commit(PathSet(request.container, request.path, msgspec.structs.replace(entry, lease=lease)))
    return _respond(request, lease, version_headers(entry))


async def lease_container(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.container(request.container).entry
    check_conditions(request, entry)
    lease = _apply_action(request, entry.lease)
    store.commit(ContainerSet(request.container, msgspec.structs.replace(entry, lease=lease)))
    return _respond(request, lease, version_headers(entry))


def _apply_action(request: StorageRequest, lease: Lease | None) -> Lease | None:
    """Return the lease after the requested action, or None after a release."""
    headers, now_us = request.headers, request.now_us
    match _action(request):
        case "acquire":
            return lease_terms.acquire(lease, headers, str(uuid4()), now_us)
        case "renew":
            return lease_terms.renew(lease, headers, now_us)
        case "change":
            return lease_terms.change(lease, headers, now_us)
        case "release":
            lease_terms.require_holder(lease, headers)
            return None
        case "break":
            return lease_terms.break_lease(lease, headers, now_us)
        case _:
            raise Refused("InvalidHeaderValue", detail="x-ms-lease-action")


def _respond(request: StorageRequest, lease: Lease | None, headers: dict[str, str]) -> Response:
    action = _action(request)
    if action == "break" and lease is not None:
        headers["x-ms-lease-time"] = str(lease_terms.seconds_left(lease, request.now_us))
    elif lease is not None:
        headers["x-ms-lease-id"] = lease.lease_id
    return Response(_STATUS[action], headers)


def _action(request: StorageRequest) -> str:
    return request.headers.get("x-ms-lease-action", "").lower()
