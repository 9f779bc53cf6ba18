"""List Blobs, flat and by hierarchy, as XML.

The account is hierarchical, so directories are listed too: as zero-length blobs marked `hdi_isfolder`,
or as prefixes if a delimiter is given.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.entries import DEFAULT_TIER, Entry, format_etag, format_http_date
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.namespace import Node, walk
from services.emulator.storage.operations.blob_tags import tag_set_xml
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.continuation import cut_page, first_key, page_size
from services.emulator.storage.wire.properties import metadata_with_marker
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import XML, Response
from services.emulator.storage.wire.xml import encode_xml


async def list_blobs(request: StorageRequest, store: FileStore) -> Response:
    delimiter = request.query.get("delimiter", "")
    if delimiter not in {"", "/"}:
        raise Refused("InvalidQueryParameterValue", detail="delimiter")
    store.namespace.container(request.container)
    matching = _find_matching(request, store, recursive=not delimiter)
    page, marker = cut_page(matching, page_size(request))
    included = set(request.query.get("include", "").split(","))
    items = [
        _prefix_xml(path, node.entry, request.now_us)
        if delimiter and node.entry.is_directory
        else _blob_xml(path, node.entry, request.now_us, included)
        for path, node in page
    ]
    return Response(200, {"Content-Type": XML}, _document(request, "".join(items), marker))


def _find_matching(
    request: StorageRequest, store: FileStore, *, recursive: bool
) -> Iterator[tuple[str, Node]]:
    """Yield the paths that begin with the prefix.

    Visits only the prefix's directory and the paths below it.
    """
    prefix = request.query.get("prefix", "")
    directory, slash, name_prefix = prefix.rpartition("/")
    node = store.namespace.node(request.container, directory)
    if node is None or prefix.startswith("/") or "//" in prefix:
        return iter(())
    base = directory + slash
    after, inclusive = first_key(request, "marker", "startfrom")
    if after.startswith(base):
        after = after.removeprefix(base)
    elif after > base:
        return iter(())
    else:
        after = ""
    return walk(node, base, after=after, inclusive=inclusive, prefix=name_prefix, recursive=recursive)


def _document(request: StorageRequest, items: str, marker: str) -> bytes:
    query = request.query
    endpoint = quoteattr(f"http://{request.headers.get('Host', '')}/{request.account}/")
    echoed = "".join(
        f"<{element}>{escape(query[name])}</{element}>"
        for element, name in (("Prefix", "prefix"), ("Marker", "marker"), ("Delimiter", "delimiter"))
        if name in query
    )
    return encode_xml(
        f"<EnumerationResults ServiceEndpoint={endpoint}"
        f" ContainerName={quoteattr(request.container)}>{echoed}<MaxResults>{page_size(request)}</MaxResults>"
        f"<Blobs>{items}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )


def _prefix_xml(path: str, entry: Entry, now_us: int) -> str:
    return f"<BlobPrefix><Name>{escape(path)}/</Name>{_properties_xml(entry, now_us)}</BlobPrefix>"


def _blob_xml(path: str, entry: Entry, now_us: int, included: set[str]) -> str:
    metadata = tags = ""
    if "metadata" in included:
        shown = metadata_with_marker(entry)
        metadata = f"<Metadata>{''.join(f'<{k}>{escape(v)}</{k}>' for k, v in shown.items())}</Metadata>"
    if "tags" in included and entry.tags:
        tags = f"<Tags>{tag_set_xml(entry.tags)}</Tags>"
    return f"<Blob><Name>{escape(path)}</Name>{_properties_xml(entry, now_us)}{metadata}{tags}</Blob>"


def _properties_xml(entry: Entry, now_us: int) -> str:
    content, lease = entry.content, lease_terms.lease_headers(entry.lease, now_us)
    properties = {
        "Creation-Time": format_http_date(entry.created_us),
        "Last-Modified": format_http_date(entry.modified_us),
        "Etag": format_etag(entry.etag),
        "ResourceType": "directory" if entry.is_directory else "file",
        "Content-Length": str(entry.size_bytes),
        "Content-Type": content.content_type,
        "Content-Encoding": content.content_encoding,
        "Content-Language": content.content_language,
        "Content-MD5": content.content_md5,
        "Content-Disposition": content.content_disposition,
        "Cache-Control": content.cache_control,
        "BlobType": entry.kind.value,
        "AccessTier": "" if entry.is_directory else entry.tier or DEFAULT_TIER,
        "AccessTierInferred": "" if entry.is_directory or entry.tier else "true",
        "TagCount": str(len(entry.tags) or ""),
        "Expiry-Time": format_http_date(entry.expires_us) if entry.expires_us else "",
        "LeaseStatus": lease["x-ms-lease-status"],
        "LeaseState": lease["x-ms-lease-state"],
        "LeaseDuration": lease.get("x-ms-lease-duration", ""),
        "ServerEncrypted": "true",
    }
    return "".join(
        (
            "<Properties>",
            *(f"<{name}>{escape(value)}</{name}>" for name, value in properties.items() if value),
            "</Properties>",
        )
    )
