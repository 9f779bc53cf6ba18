"""Operations on containers, which Data Lake calls file systems."""

import msgspec

from services.emulator.storage.auth import stored_policies
from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.entries import ContainerEntry
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import ContainerRemoved, ContainerSet
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_conditions
from services.emulator.storage.wire.properties import (
    encode_properties,
    metadata_headers,
    read_metadata,
    read_properties,
    version_headers,
)
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import XML, Response
from services.emulator.storage.wire.upload import read_small_body

_STATE = {
    "x-ms-has-immutability-policy": "false",
    "x-ms-has-legal-hold": "false",
    "x-ms-immutable-storage-with-versioning-enabled": "false",
    "x-ms-namespace-enabled": "true",
}
_MAX_POLICIES_BYTES = 16 * 1024


async def create_container(request: StorageRequest, store: FileStore) -> Response:
    if request.container in store.namespace.containers:
        raise Refused("FilesystemAlreadyExists")
    entry = store.new_container(read_metadata(request) | read_properties(request))
    store.commit(ContainerSet(request.container, entry))
    return Response(201, version_headers(entry) | {"x-ms-namespace-enabled": "true"})


async def delete_container(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.container(request.container).entry
    _check_lease(request, entry)
    check_conditions(request, entry)
    store.commit(ContainerRemoved(request.container))
    return Response(202)


async def get_container_properties(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.container(request.container).entry
    lease = lease_terms.lease_headers(entry.lease, request.now_us)
    return Response(200, version_headers(entry) | _STATE | lease | metadata_headers(entry.metadata))


async def get_file_system_properties(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.container(request.container).entry
    properties = {"x-ms-properties": encode_properties(entry.metadata)}
    return Response(200, version_headers(entry) | _STATE | properties)


async def set_container_metadata(request: StorageRequest, store: FileStore) -> Response:
    return _change(request, store, metadata=read_metadata(request))


async def get_container_acl(request: StorageRequest, store: FileStore) -> Response:
    entry = store.namespace.container(request.container).entry
    return Response(
        200, version_headers(entry) | {"Content-Type": XML}, stored_policies.policies_xml(entry.policies)
    )


async def set_container_acl(request: StorageRequest, store: FileStore) -> Response:
    """Replace all stored access policies. Raises Refused if the request asks for public access."""
    if "x-ms-blob-public-access" in request.headers:
        raise Refused("PublicAccessNotPermitted")
    policies = stored_policies.parse_policies(await read_small_body(request, _MAX_POLICIES_BYTES))
    return _change(request, store, policies=policies)


def _change(request: StorageRequest, store: FileStore, **fields: object) -> Response:
    entry = store.namespace.container(request.container).entry
    if lease_id := request.headers.get("x-ms-lease-id"):  # a container lease protects only from deletion
        lease_terms.check_holder(entry.lease, lease_id, request.now_us, kind="Container")
    check_conditions(request, entry)
    fields |= {"etag": store.etag_clock.next_etag(), "modified_us": store.etag_clock.now_us()}
    changed = msgspec.structs.replace(entry, **fields)
    store.commit(ContainerSet(request.container, changed))
    return Response(200, version_headers(changed))


def _check_lease(request: StorageRequest, entry: ContainerEntry) -> None:
    lease_id = request.headers.get("x-ms-lease-id") or None
    lease_terms.check_holder(entry.lease, lease_id, request.now_us, kind="Container")
