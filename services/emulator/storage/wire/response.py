"""Responses of operations, and error responses in both dialects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import msgspec

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.routing import Dialect
from services.emulator.storage.wire.xml import encode_xml

XML, JSON = "application/xml", "application/json;charset=utf-8"


@dataclass(frozen=True, slots=True)
class FileRange:
    """A range of bytes of an open file. The sender of the response closes `fd`."""

    fd: int
    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Response:
    """A response: its body is either bytes or a range of a file."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: FileRange | None = None


def error_response(refused: Refused, dialect: Dialect, *, request_id: str, now: str, head: bool) -> Response:
    """Build an error response, in Blob storage's XML or Data Lake's JSON.

    A header holds the error code too.
    """
    is_blob = dialect is Dialect.BLOB
    code = refused.code_for_blob() if is_blob else refused.code
    message = refused.message_for_blob() if is_blob else refused.message
    text = f"{message}\nRequestId:{request_id}\nTime:{now}"
    headers = {"x-ms-error-code": code}
    if refused.status == 401:  # noqa: PLR2004 - a challenge goes with this status only
        headers["WWW-Authenticate"] = (
            "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize"
            " resource_id=https://storage.azure.com"
        )
    if head or refused.status == 304:  # noqa: PLR2004 - Not Modified has no body
        return Response(refused.status, headers)
    if is_blob:
        detail = f"<Detail>{escape(refused.detail)}</Detail>" if refused.detail else ""
        body = encode_xml(f"<Error><Code>{code}</Code><Message>{escape(text)}</Message>{detail}</Error>")
        return Response(refused.status, headers | {"Content-Type": XML}, body)
    error = {"code": code, "message": text} | ({"detail": refused.detail} if refused.detail else {})
    return Response(refused.status, headers | {"Content-Type": JSON}, msgspec.json.encode({"error": error}))
