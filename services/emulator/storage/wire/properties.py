"""Properties of files as headers: read from requests, written to responses."""

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.entries import (
    DEFAULT_TIER,
    ContainerEntry,
    ContentHeaders,
    Entry,
    format_etag,
    format_filetime,
    format_http_date,
)
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest, check_header_text

_META = "x-ms-meta-"
_META_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)  # also a name in XML, where listings put it
MAX_METADATA_BYTES = 8192

# The Arrow C++ client aborts its process if the response to a write lacks this header.
WRITE_HEADERS = {"x-ms-request-server-encrypted": "true"}


def read_metadata(request: StorageRequest) -> dict[str, str]:
    """Read the user metadata of a Blob request, which has one header `x-ms-meta-<name>` per value."""
    metadata = {
        name[len(_META) :]: value for name, value in request.headers.items() if name.lower().startswith(_META)
    }
    return _check_metadata(metadata)


def read_properties(request: StorageRequest) -> dict[str, str]:
    """Read the user metadata of a Data Lake request: `x-ms-properties: name=base64,…`."""
    metadata: dict[str, str] = {}
    for pair in filter(None, request.headers.get("x-ms-properties", "").split(",")):
        name, _, encoded = pair.strip().partition("=")
        try:
            metadata[name] = base64.b64decode(encoded, validate=True).decode("latin-1")
        except (binascii.Error, ValueError) as exc:
            raise Refused("InvalidHeaderValue", detail="x-ms-properties") from exc
    return _check_metadata(metadata)


def read_content_headers(
    request: StorageRequest, *, prefix: str = "x-ms-", known: ContentHeaders | None = None
) -> ContentHeaders:
    """Read the content headers of a request. Values that the request does not give are taken from `known`.

    `prefix` begins the headers' names: x-ms- in Data Lake's requests, x-ms-blob- in Blob's.
    """
    known = known or ContentHeaders()
    given = {
        field: value
        for field in known.__struct_fields__
        if (value := request.headers.get(f"{prefix}{field.replace('_', '-')}")) is not None
    }
    for field, value in given.items():
        check_header_text(value, field)
    return msgspec.structs.replace(known, **given)


def version_headers(entry: Entry | ContainerEntry) -> dict[str, str]:
    return {"ETag": f'"{format_etag(entry.etag)}"', "Last-Modified": format_http_date(entry.modified_us)}


def entry_headers(entry: Entry, now_us: int) -> dict[str, str]:
    """Return the headers of Get Blob and Get Blob Properties without Content-Length."""
    kind = "directory" if entry.is_directory else "file"
    access = entry.access
    headers = version_headers(entry) | {
        "Content-Type": entry.content.content_type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": entry.kind.value,
        "x-ms-creation-time": format_http_date(entry.created_us),
        "x-ms-server-encrypted": "true",
        "x-ms-resource-type": kind,
        "x-ms-owner": access.owner,
        "x-ms-group": access.group,
        "x-ms-permissions": access.permissions,
        "x-ms-acl": access.acl,
    }
    optional = {
        "Content-Encoding": entry.content.content_encoding,
        "Content-Language": entry.content.content_language,
        "Content-Disposition": entry.content.content_disposition,
        "Cache-Control": entry.content.cache_control,
        "Content-MD5": entry.content.content_md5,
    }
    headers |= {name: value for name, value in optional.items() if value}
    headers |= copy_headers(entry) | tag_and_tier_headers(entry)
    headers |= lease_terms.lease_headers(entry.lease, now_us)
    return headers | metadata_headers(metadata_with_marker(entry))


def copy_headers(entry: Entry) -> dict[str, str]:
    if entry.copied is None:
        return {}
    return {
        "x-ms-copy-id": entry.copied.copy_id,
        "x-ms-copy-source": entry.copied.source,
        "x-ms-copy-status": "success",
        "x-ms-copy-progress": f"{entry.size_bytes}/{entry.size_bytes}",
        "x-ms-copy-completion-time": format_http_date(entry.created_us),
    }


def tag_and_tier_headers(entry: Entry) -> dict[str, str]:
    """Return the headers for a file's tier, and for its tag count, block count and expiry time if set."""
    if entry.is_directory:
        return {}
    headers = {"x-ms-access-tier": entry.tier or DEFAULT_TIER}
    if not entry.tier:
        headers["x-ms-access-tier-inferred"] = "true"
    optional = {
        "x-ms-access-tier-change-time": entry.tier_changed_us and format_http_date(entry.tier_changed_us),
        "x-ms-tag-count": len(entry.tags),
        "x-ms-blob-committed-block-count": entry.appended_blocks,
        "x-ms-expiry-time": entry.expires_us and format_http_date(entry.expires_us),
    }
    return headers | {name: str(value) for name, value in optional.items() if value}


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"{_META}{name}": value for name, value in metadata.items()}


def metadata_with_marker(entry: Entry) -> dict[str, str]:
    """Return the metadata. For a directory, add `hdi_isfolder`, by which blob clients recognise one.

    The marker is not stored.
    """
    return entry.metadata | {"hdi_isfolder": "true"} if entry.is_directory else entry.metadata


def encode_properties(metadata: Mapping[str, str]) -> str:
    encoded = {name: base64.b64encode(value.encode("latin-1")).decode() for name, value in metadata.items()}
    return ",".join(f"{name}={value}" for name, value in encoded.items())


def describe_path(name: str, entry: Entry) -> dict[str, str]:
    """Describe one path of a Data Lake listing. Every value is a string, as in the service's listings."""
    description = {
        "name": name,
        "contentLength": str(entry.size_bytes),
        "etag": format_etag(entry.etag),
        "lastModified": format_http_date(entry.modified_us),
        "creationTime": format_filetime(entry.created_us),
        "owner": entry.access.owner,
        "group": entry.access.group,
        "permissions": entry.access.permissions,
    }
    return description | {"isDirectory": "true"} if entry.is_directory else description


def _check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    size_bytes = sum(len(name) + len(value) for name, value in metadata.items())
    if size_bytes > MAX_METADATA_BYTES:
        raise Refused("InvalidMetadata", detail=f"more than {MAX_METADATA_BYTES} bytes")
    for name, value in metadata.items():
        if not _META_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise Refused("InvalidMetadata", detail=name)
    return metadata
