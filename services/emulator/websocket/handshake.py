"""The HTTP upgrade to a websocket that carries AMQP. Pure: no I/O."""

import base64
import binascii
import hashlib
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from shared.http.page_guard import find_foreign_page

PATH = "/$servicebus/websocket"
PROTOCOLS = ("AMQPWSB10", "amqp")
MAX_HEAD_BYTES = 16 * 1024
_VERSION = "13"
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_KEY_BYTES = 16


class UpgradeRefused(Exception):
    """The upgrade request is refused; `answer` is the whole HTTP response to send."""

    def __init__(self, status: HTTPStatus, reason: str, *headers: str) -> None:
        super().__init__(reason)
        body = f"{reason}\n".encode()
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            *headers,
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        self.answer = "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answer_upgrade(head: bytes, *, loopback_origins_only: bool) -> bytes:
    """Return the answer that accepts the request `head` (everything before the empty line).

    With `loopback_origins_only`, web pages from other hosts may not connect: on loopback the key is well
    known. Raises UpgradeRefused if the request is not acceptable.
    """
    if len(head) > MAX_HEAD_BYTES:
        raise UpgradeRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too long")
    method, path, headers = _parse(head)
    if path.rstrip("/") != PATH:
        raise UpgradeRefused(HTTPStatus.NOT_FOUND, f"AMQP over websockets is at {PATH}")
    if method != "GET" or "websocket" not in _tokens(headers, "upgrade"):
        raise UpgradeRefused(HTTPStatus.UPGRADE_REQUIRED, "this is a websocket", "Upgrade: websocket")
    if headers.get("sec-websocket-version") != _VERSION:
        raise UpgradeRefused(
            HTTPStatus.UPGRADE_REQUIRED, "websockets have version 13", f"Sec-WebSocket-Version: {_VERSION}"
        )
    # Not by Host: programs may send the namespace's, and a browser always sends the page's Origin.
    page = {name: value for name, value in headers.items() if name != "host"}
    if loopback_origins_only and (reason := find_foreign_page(method, page)) is not None:
        raise UpgradeRefused(HTTPStatus.FORBIDDEN, reason)
    offered = {one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")}
    protocol = next((one for one in PROTOCOLS if one in offered), None)
    if protocol is None:
        raise UpgradeRefused(HTTPStatus.BAD_REQUEST, f"the subprotocol is {PROTOCOLS[0]}")
    return _encode_acceptance(_find_key(headers), protocol)


def _encode_acceptance(key: str, protocol: str) -> bytes:
    proof = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest())  # noqa: S324 - as the standard has it
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\nSec-WebSocket-Protocol: " + protocol.encode() + b"\r\n\r\n"
    )


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    try:
        request_line, *lines = head.decode("ascii").split("\r\n")
        method, target, version = request_line.split(" ")
        fields = [line.split(":", 1) for line in lines if line]
        headers = {name.lower(): value.strip() for name, value in fields}
        path = unquote(urlsplit(target).path)
    except ValueError as exc:
        raise UpgradeRefused(HTTPStatus.BAD_REQUEST, "this is no HTTP request") from exc
    if version != "HTTP/1.1":
        raise UpgradeRefused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "websockets begin with HTTP/1.1")
    return method, path, headers


def _tokens(headers: dict[str, str], name: str) -> set[str]:
    return {token.strip().lower() for token in headers.get(name, "").split(",")}


def _find_key(headers: dict[str, str]) -> str:
    key = headers.get("sec-websocket-key", "")
    try:
        if len(base64.b64decode(key, validate=True)) == _KEY_BYTES:
            return key
    except binascii.Error:
        pass
    raise UpgradeRefused(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key is 16 bytes in base64")
