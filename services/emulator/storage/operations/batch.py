"""Blob batches: many requests in one body. Each request gets its own response."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from multidict import CIMultiDict

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.response import Response
from services.emulator.storage.wire.routing import Operation
from services.emulator.storage.wire.upload import read_small_body

MAX_PARTS = 256
_BATCHABLE = frozenset({"delete_blob", "set_tier"})
_MAX_BYTES = 4 * 1024 * 1024
_BOUNDARY = re.compile(r'multipart/mixed\s*;\s*boundary="?([\w\'()+,./:=?-]{1,70})"?', re.ASCII)
_REQUEST_LINE = re.compile(r"([A-Z]{1,10}) (/[!-~]*) HTTP/1\.1", re.ASCII)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch, before it is routed."""

    content_id: str
    method: str
    target: str
    headers: Mapping[str, str]


async def submit_batch(request: StorageRequest, perform: Callable[[Part], Awaitable[Response]]) -> Response:
    """Perform each part of a batch with `perform`, which must return error responses instead of raising."""
    content_type = _BOUNDARY.fullmatch(request.headers.get("Content-Type", "").strip())
    if content_type is None:
        raise Refused("InvalidHeaderValue", detail="Content-Type")
    parts = parse_batch(await read_small_body(request, _MAX_BYTES), content_type[1])
    boundary = f"batchresponse_{content_type[1]}"
    responses = [_encode_part(boundary, part, await perform(part)) for part in parts]
    body = b"".join([*responses, f"--{boundary}--\r\n".encode()])
    return Response(202, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, body)


def check_batchable(operation: Operation) -> None:
    """Check that a batch may contain the operation. Raises InvalidInput if it may not."""
    if operation.name not in _BATCHABLE:
        raise Refused("InvalidInput", detail=f"{operation.name} in a batch")


def parse_batch(raw: bytes, boundary: str) -> list[Part]:
    """Split a batch's body into requests.

    Raises Refused if the body is malformed or has too many requests.
    """
    try:
        text = raw.decode("ascii").replace("\r\n", "\n")
    except UnicodeDecodeError as exc:
        raise Refused("InvalidInput", detail="the batch is not ASCII") from exc
    pieces = f"\n{text}".split(f"\n--{boundary}")
    if len(pieces) < 3 or not pieces[-1].startswith("--"):  # noqa: PLR2004 - before, one part, after
        raise Refused("InvalidInput", detail="the batch has no parts, or no end")
    if len(pieces) - 2 > MAX_PARTS:
        raise Refused("ExceedsMaxBatchRequestCount")
    return [_parse_part(piece) for piece in pieces[1:-1]]


def _parse_part(piece: str) -> Part:
    outer, _, request = piece.lstrip("\n").partition("\n\n")
    line, _, fields = request.partition("\n")
    request_line = _REQUEST_LINE.fullmatch(line)
    if request_line is None:
        raise Refused("InvalidInput", detail="a part of the batch is no request")
    headers = _parse_headers(fields.partition("\n\n")[0])
    return Part(_parse_headers(outer).get("Content-ID", ""), request_line[1], request_line[2], headers)


def _parse_headers(lines: str) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for line in filter(None, lines.split("\n")):
        if (header := _HEADER.fullmatch(line)) is None:
            raise Refused("InvalidInput", detail="a header in the batch is not in the correct format")
        headers.add(header[1], header[2].strip())
    return headers


def _encode_part(boundary: str, part: Part, response: Response) -> bytes:
    lines = [f"--{boundary}", "Content-Type: application/http"]
    lines += [f"Content-ID: {part.content_id}"] if part.content_id else []
    lines += ["", f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(response.body)}"] if response.body else []
    return "\r\n".join([*lines, "", ""]).encode() + response.body + b"\r\n"
