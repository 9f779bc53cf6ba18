"""Blob tags and the access tier."""

import re
from typing import TypedDict
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

import msgspec

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.records import PathSet
from services.emulator.storage.store.file_store import FileStore
from services.emulator.storage.wire.conditions import check_lease
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import XML, Response
from services.emulator.storage.wire.upload import read_small_body
from services.emulator.storage.wire.xml import encode_xml, find_text, parse_xml

_TIERS = ("Hot", "Cool", "Cold")
_MAX_TAGS, _MAX_KEY_CHARS, _MAX_VALUE_CHARS = 10, 128, 256
_MAX_TAGS_BYTES = 16 * 1024
_TAG_TEXT = re.compile(r"[A-Za-z0-9 +\-./:=_]*", re.ASCII)


class BlobTags(TypedDict):
    """Fields of an entry that are set by the headers of a write: tags and access tier."""

    tags: dict[str, str]
    tier: str


def read_tags_and_tier(request: StorageRequest) -> BlobTags:
    """Read tags and access tier of a new blob from `x-ms-tags: a=1&b=2` and `x-ms-access-tier`."""
    tags: dict[str, str] = {}
    for pair in filter(None, request.headers.get("x-ms-tags", "").split("&")):
        name, _, value = pair.partition("=")
        tags[unquote_plus(name)] = unquote_plus(value)
    return BlobTags(tags=_check_tags(tags), tier=_check_tier(request.headers.get("x-ms-access-tier", "")))


async def get_tags(request: StorageRequest, store: FileStore) -> Response:
    tags = store.namespace.require_entry(request.container, request.path).tags
    return Response(200, {"Content-Type": XML}, encode_xml(f"<Tags>{tag_set_xml(tags)}</Tags>"))


async def set_tags(request: StorageRequest, store: FileStore) -> Response:
    """Replace the tags. The etag and the modification time do not change."""
    root = parse_xml(await read_small_body(request, _MAX_TAGS_BYTES), "Tags")
    pairs = [(find_text(tag, "Key"), find_text(tag, "Value")) for tag in root.iter("Tag")]
    if len(dict(pairs)) < len(pairs):
        raise Refused("InvalidTag", detail="a key stands there twice")
    entry = store.namespace.require_entry(request.container, request.path)
    check_lease(request, entry)
    changed = msgspec.structs.replace(entry, tags=_check_tags(dict(pairs)))
    store.commit(PathSet(request.container, request.path, changed))
    return Response(204)


async def set_tier(request: StorageRequest, store: FileStore) -> Response:
    """Set the access tier. The tier is returned to clients and has no other effect."""
    if "x-ms-access-tier" not in request.headers:
        raise Refused("MissingRequiredHeader", detail="x-ms-access-tier")
    tier = _check_tier(request.headers["x-ms-access-tier"])
    entry = store.namespace.require_entry(request.container, request.path)
    check_lease(request, entry)
    changed = msgspec.structs.replace(entry, tier=tier, tier_changed_us=request.now_us)
    store.commit(PathSet(request.container, request.path, changed))
    return Response(200)


def tag_set_xml(tags: dict[str, str]) -> str:
    tags_xml = "".join(
        f"<Tag><Key>{escape(name)}</Key><Value>{escape(value)}</Value></Tag>" for name, value in tags.items()
    )
    return f"<TagSet>{tags_xml}</TagSet>"


def _check_tier(name: str) -> str:
    if name == "Archive":
        raise Refused("NotImplemented", detail="the archive tier, whose blobs cannot be read")
    if name and name not in _TIERS:
        raise Refused("InvalidHeaderValue", detail="x-ms-access-tier")
    return name


def _check_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _MAX_TAGS:
        raise Refused("InvalidTag", detail=f"more than {_MAX_TAGS} tags")
    for name, value in tags.items():
        fits = 0 < len(name) <= _MAX_KEY_CHARS and len(value) <= _MAX_VALUE_CHARS
        if not (fits and _TAG_TEXT.fullmatch(name) and _TAG_TEXT.fullmatch(value)):
            raise Refused("InvalidTag", detail=name[:_MAX_KEY_CHARS])
    return tags
