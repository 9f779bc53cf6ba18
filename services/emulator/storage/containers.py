"""Operations on containers, which Data Lake calls file systems."""

import msgspec

from services.emulator.storage import lease_terms
from services.emulator.storage.answer import XML, Answer
from services.emulator.storage.errors import Refused
from services.emulator.storage.file_store import FileStore
from services.emulator.storage.properties import (
    encoded_properties,
    metadata_headers,
    metadata_of,
    properties_of,
    version_headers,
)
from services.emulator.storage.records import ContainerRemoved, ContainerSet
from services.emulator.storage.request import StorageRequest

_STATE = {
    "x-ms-has-immutability-policy": "false",
    "x-ms-has-legal-hold": "false",
    "x-ms-immutable-storage-with-versioning-enabled": "false",
    "x-ms-namespace-enabled": "true",
}
_NO_POLICIES = b'<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers />'


async def create_container(request: StorageRequest, store: FileStore) -> Answer:
    if request.container in store.namespace.containers:
        raise Refused("FilesystemAlreadyExists")
    entry = store.new_container(metadata_of(request) | properties_of(request))
    store.commit(ContainerSet(request.container, entry))
    return Answer(201, version_headers(entry) | {"x-ms-namespace-enabled": "true"})


async def delete_container(request: StorageRequest, store: FileStore) -> Answer:
    entry = store.namespace.container(request.container).entry
    given = request.headers.get("x-ms-lease-id") or None
    lease_terms.check_holder(entry.lease, given, request.now_us, kind="Container")
    store.commit(ContainerRemoved(request.container))
    return Answer(202)


async def get_container_properties(request: StorageRequest, store: FileStore) -> Answer:
    entry = store.namespace.container(request.container).entry
    lease = lease_terms.headers(entry.lease, request.now_us)
    return Answer(200, version_headers(entry) | _STATE | lease | metadata_headers(entry.metadata))


async def get_file_system_properties(request: StorageRequest, store: FileStore) -> Answer:
    entry = store.namespace.container(request.container).entry
    properties = {"x-ms-properties": encoded_properties(entry.metadata)}
    return Answer(200, version_headers(entry) | _STATE | properties)


async def set_container_metadata(request: StorageRequest, store: FileStore) -> Answer:
    entry = msgspec.structs.replace(
        store.namespace.container(request.container).entry,
        etag=store.versions.next_etag(),
        modified_us=store.versions.now_us(),
        metadata=metadata_of(request),
    )
    store.commit(ContainerSet(request.container, entry))
    return Answer(200, version_headers(entry))


async def get_container_acl(request: StorageRequest, store: FileStore) -> Answer:
    entry = store.namespace.container(request.container).entry
    return Answer(200, version_headers(entry) | {"Content-Type": XML}, _NO_POLICIES)
