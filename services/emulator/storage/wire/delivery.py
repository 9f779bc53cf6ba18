"""Answers on the wire: the headers every answer has, and bodies of any size in bounded memory."""

import os

from aiohttp import web

from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.response import FileRange, Response

_INLINE_BYTES = 256 * 1024  # up to here a read costs the event loop less than a thread would
_PIECE_BYTES = 1024 * 1024
_DEFAULT_VERSION = "2021-12-02"


async def send_response(raw: web.BaseRequest, answer: Response, request_id: str) -> web.StreamResponse:
    headers = dict(answer.headers) | {
        "Server": "fleetprice-storage",
        "x-ms-request-id": request_id,
        "x-ms-version": _DEFAULT_VERSION,
    }
    for name in ("x-ms-version", "x-ms-client-request-id"):
        value = raw.headers.get(name, "")
        if value and value.isascii() and value.isprintable():
            headers[name] = value
    if answer.file is None:
        return web.Response(status=answer.status, headers=headers, body=answer.body)
    try:
        return await _send_file(raw, answer.status, headers, answer.file)
    finally:
        os.close(answer.file.fd)


async def _send_file(
    raw: web.BaseRequest, status: int, headers: dict[str, str], file: FileRange
) -> web.StreamResponse:
    if file.size_bytes <= _INLINE_BYTES:
        return web.Response(
            status=status, headers=headers, body=os.pread(file.fd, file.size_bytes, file.start)
        )
    response = web.StreamResponse(status=status, headers=headers | {"Content-Length": str(file.size_bytes)})
    await response.prepare(raw)
    position, end = file.start, file.start + file.size_bytes
    while position < end:
        data = await run_in_thread(os.pread, file.fd, min(_PIECE_BYTES, end - position), position)
        if not data:
            raise ConnectionResetError("the file became shorter while it was sent")
        await response.write(data)
        position += len(data)
    await response.write_eof()
    return response
