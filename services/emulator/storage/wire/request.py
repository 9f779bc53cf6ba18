"""Requests, parsed: account, container, path, and typed parameters."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from aiohttp import StreamReader

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.model.names import UNPRINTABLE, check_container_name, normalize_path

# The headers that SharedKey signs beside those that begin with x-ms-.
SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_BYTE_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """A request. `raw_path` is the path as it was signed; `path` is decoded and has no outer slashes."""

    method: str
    raw_path: str
    account: str
    container: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: StreamReader
    remote: str
    max_body_bytes: int
    now_us: int
    is_secure: bool

    def integer_query(self, name: str, *, maximum: int = 2**63 - 1) -> int | None:
        return _parse_integer(self.query.get(name), "InvalidQueryParameterValue", name, maximum)

    def boolean_query(self, name: str) -> bool:
        value = self.query.get(name, "false").lower()
        if value not in {"true", "false"}:
            raise Refused("InvalidQueryParameterValue", detail=name)
        return value == "true"

    def integer_header(self, name: str) -> int | None:
        return _parse_integer(self.headers.get(name), "InvalidHeaderValue", name, 2**63 - 1)

    def date_header(self, name: str) -> datetime | None:
        return None if (value := self.headers.get(name)) is None else parse_http_date(value, name)

    def content_length(self) -> int:
        """Return the length of the body.

        Raises MissingContentLengthHeader if the header is missing, as in requests with a chunked body.
        """
        length = self.integer_header("Content-Length")
        if length is None:
            raise Refused("MissingContentLengthHeader")
        return length


def parse_http_date(value: str, name: str) -> datetime:
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError) as exc:
        raise Refused("InvalidHeaderValue", detail=name) from exc
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def check_headers(headers: Mapping[str, str]) -> None:
    """Check that no header that a signature covers occurs twice. Raises Refused if one does.

    The signature covers one of the values, and another could be obeyed.
    """
    seen: set[str] = set()
    for given, _ in headers.items():  # noqa: PERF102 - only the items of a multidict are all of them
        name = given.lower()
        if name in seen and (name.startswith("x-ms-") or name in SIGNED_HEADERS):
            raise Refused("InvalidHeaderValue", detail=f"{name} is given twice")
        seen.add(name)


def parse_query(raw: str) -> dict[str, str]:
    """Decode the query parameters into values by lower-case name.

    A `+` stays a plus. The values of a repeated parameter are joined with commas, as they are signed.
    """
    query: dict[str, str] = {}
    for pair in filter(None, raw.split("&")):
        name, _, value = pair.partition("=")
        key, decoded = decode_url_part(name).lower(), decode_url_part(value)
        query[key] = f"{query[key]},{decoded}" if key in query else decoded
    return query


def parse_resource(raw_path: str, account: str) -> tuple[str, str]:
    """Return container and path of a URL's path, which may begin with the account's name (path style).

    Raises Refused if a name is not allowed, such as `..`, however the URL encodes it.
    """
    return _split_resource(decode_url_part(raw_path).removeprefix("/"), account)


def parse_source(raw: str, account: str) -> tuple[str, str, dict[str, str]]:
    """Return container, path and SAS token of the source of a rename or copy.

    `raw` is a URL or `/container/path?sas`. The C++ SDK, which Arrow uses, puts the account of a path-style
    URL in front of the container here, but omits the account in the request's own path. Raises
    InvalidSourceUri if the source has no container or no path.
    """
    check_header_text(raw, "source")
    try:
        url = urlsplit(raw)
    except ValueError as exc:
        raise Refused("InvalidSourceUri") from exc
    container, path = _split_resource(decode_url_part(url.path).removeprefix("/"), account)
    if not container or not path:
        raise Refused("InvalidSourceUri")
    return container, path, parse_query(url.query)


def find_sources(request: StorageRequest) -> Iterator[tuple[str, str]]:
    """Yield container and path of the source of a rename or copy.

    Raises InvalidSourceUri if a source has no container or no path.
    """
    for header in ("x-ms-rename-source", "x-ms-copy-source"):
        if (source := request.headers.get(header)) is not None:
            yield parse_source(source, request.account)[:2]


def _split_resource(resource: str, account: str) -> tuple[str, str]:
    if resource == account:
        return "", ""
    container, _, path = resource.removeprefix(f"{account}/").partition("/")
    if container:
        check_container_name(container)
    return container, normalize_path(path)


def decode_url_part(text: str) -> str:
    """Decode a part of a URL.

    Raises InvalidUri if the part is not UTF-8 or has characters that XML or a header cannot return.
    """
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise Refused("InvalidUri") from exc
    if UNPRINTABLE.search(decoded):
        raise Refused("InvalidUri")
    return decoded


def parse_byte_range(value: str, size_bytes: int, name: str) -> tuple[int, int]:
    """Parse `bytes=first-last` into start and end (exclusive). The end is limited to the file's size.

    Raises InvalidHeaderValue if the text has another form, and InvalidRange if the range is empty or begins
    behind the file's end.
    """
    if (bounds := _BYTE_RANGE.fullmatch(value.strip())) is None:
        raise Refused("InvalidHeaderValue", detail=name)
    start = int(bounds[1])
    end = min(int(bounds[2]) + 1, size_bytes) if bounds[2] else size_bytes
    if start >= end:
        raise Refused("InvalidRange")
    return start, end


def check_header_text(value: str, name: str) -> None:
    """Check that a value can be sent in a header, because stored values are returned as headers.

    Raises InvalidHeaderValue if the value is not printable ASCII.
    """
    if not (value.isascii() and value.isprintable()):
        raise Refused("InvalidHeaderValue", detail=name)


def _parse_integer(value: str | None, code: str, name: str, maximum: int) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 19 or int(value) > maximum:  # noqa: PLR2004 - digits of 2^63
        raise Refused(code, detail=name)
    return int(value)
