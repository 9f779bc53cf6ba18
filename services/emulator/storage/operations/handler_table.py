"""The table of request handlers, by name of the operation."""

from collections.abc import Awaitable, Callable

from services.emulator.storage.operations import (
    access_control,
    accounts,
    append_blobs,
    appends,
    blob_listing,
    blob_tags,
    blobs,
    blocks,
    containers,
    copies,
    expiry,
    leases,
    paths,
)
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response

Handler = Callable[[StorageRequest, FileStore], Awaitable[Response]]

HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        accounts.get_account_info,
        accounts.get_service_properties,
        accounts.list_containers,
        accounts.list_file_systems,
        append_blobs.append_block,
        append_blobs.create_append_blob,
        appends.append,
        appends.flush,
        blob_listing.list_blobs,
        blobs.delete_blob,
        blobs.get_blob,
        blobs.get_blob_properties,
        blobs.put_blob,
        blobs.set_http_headers,
        blobs.set_metadata,
        blocks.get_block_list,
        blocks.put_block,
        blocks.put_block_list,
        containers.create_container,
        containers.delete_container,
        containers.get_container_acl,
        containers.get_container_properties,
        containers.get_file_system_properties,
        containers.set_container_metadata,
        containers.set_container_acl,
        copies.abort_copy,
        copies.copy_blob,
        copies.put_blob_from_url,
        expiry.set_expiry,
        blob_tags.get_tags,
        blob_tags.set_tags,
        blob_tags.set_tier,
        leases.lease_container,
        leases.lease_path,
        paths.create_directory,
        paths.create_file,
        paths.delete_path,
        paths.get_status,
        paths.list_paths,
        paths.rename,
        paths.set_properties,
        access_control.get_access_control,
        access_control.set_access_control,
        access_control.set_access_control_recursive,
    )
}
