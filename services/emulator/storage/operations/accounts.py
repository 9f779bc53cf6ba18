"""Operations on the account: its properties and its containers."""

from collections.abc import Iterable
from itertools import islice
from xml.sax.saxutils import escape, quoteattr

import msgspec

from services.emulator.storage.model import lease_terms
from services.emulator.storage.model.entries import format_etag, format_http_date
from services.emulator.storage.model.namespace import Container
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.continuation import decode_token, encode_token, page_size
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import JSON, XML, Response
from services.emulator.storage.wire.xml import encode_xml

_SERVICE_PROPERTIES = encode_xml(
    "<StorageServiceProperties>"
    "<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>"
    "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>"
    "<Cors /><DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"
    "<StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>"
)


async def get_account_info(_request: StorageRequest, _store: FileStore) -> Response:
    return Response(
        200,
        {
            "x-ms-sku-name": "Standard_LRS",
            "x-ms-account-kind": "StorageV2",
            "x-ms-is-hns-enabled": "true",
        },
    )


async def get_service_properties(_request: StorageRequest, _store: FileStore) -> Response:
    return Response(200, {"Content-Type": XML}, _SERVICE_PROPERTIES)


async def list_containers(request: StorageRequest, store: FileStore) -> Response:
    page, marker = _cut_page(request, store, request.query.get("marker", ""))
    with_metadata = "metadata" in request.query.get("include", "").split(",")
    containers_xml = "".join(
        _container_xml(name, container, request.now_us, with_metadata) for name, container in page
    )
    endpoint = quoteattr(f"http://{request.headers.get('Host', '')}/{request.account}/")
    body = encode_xml(
        f"<EnumerationResults ServiceEndpoint={endpoint}>"
        f"<Prefix>{escape(request.query.get('prefix', ''))}</Prefix>"
        f"<Containers>{containers_xml}</Containers><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return Response(200, {"Content-Type": XML}, body)


async def list_file_systems(request: StorageRequest, store: FileStore) -> Response:
    page, marker = _cut_page(request, store, request.query.get("continuation", ""))
    file_systems = [
        {
            "name": name,
            "etag": format_etag(container.entry.etag),
            "lastModified": format_http_date(container.entry.modified_us),
        }
        for name, container in page
    ]
    headers = {"Content-Type": JSON} | ({"x-ms-continuation": marker} if marker else {})
    return Response(200, headers, msgspec.json.encode({"filesystems": file_systems}))


def _cut_page(
    request: StorageRequest, store: FileStore, marker: str
) -> tuple[Iterable[tuple[str, Container]], str]:
    prefix, after = request.query.get("prefix", ""), decode_token(marker)
    size = page_size(request)
    names = (name for name in sorted(store.namespace.containers) if name.startswith(prefix) and name > after)
    candidates = list(islice(names, size + 1))
    page = candidates[:size]
    token = encode_token(page[-1]) if len(candidates) > size else ""
    return [(name, store.namespace.containers[name]) for name in page], token


def _container_xml(name: str, container: Container, now_us: int, with_metadata: bool) -> str:
    entry = container.entry
    lease = lease_terms.lease_headers(entry.lease, now_us)
    metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in entry.metadata.items())
    return (
        f"<Container><Name>{escape(name)}</Name><Properties>"
        f"<Last-Modified>{format_http_date(entry.modified_us)}</Last-Modified><Etag>{format_etag(entry.etag)}</Etag>"
        f"<LeaseStatus>{lease['x-ms-lease-status']}</LeaseStatus>"
        f"<LeaseState>{lease['x-ms-lease-state']}</LeaseState>"
        "<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>"
        f"</Properties>{f'<Metadata>{metadata}</Metadata>' if with_metadata else ''}</Container>"
    )
