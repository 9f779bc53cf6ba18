"""Sending of responses: common headers, and bodies of any size in bounded memory."""

import os

from aiohttp import web

from services.emulator.storage.store.threads import run_in_thread
from services.emulator.storage.wire.response import FileRange, Response

SERVER = "fleetprice-storage"
_INLINE_BYTES = 256 * 1024  # a read up to this size costs the event loop less than a thread does
_PIECE_BYTES = 1024 * 1024
_DEFAULT_VERSION = "2021-12-02"


async def send_response(raw: web.BaseRequest, response: Response, request_id: str) -> web.StreamResponse:
    """Send the response and close its file, if it has one. Raises ConnectionError if the client is gone."""
    headers = dict(response.headers) | {
        "Server": SERVER,
        "x-ms-request-id": request_id,
        "x-ms-version": _DEFAULT_VERSION,
    }
    for name in ("x-ms-version", "x-ms-client-request-id"):
        value = raw.headers.get(name, "")
        if value and value.isascii() and value.isprintable():
            headers[name] = value
    if response.file is None:
        return web.Response(status=response.status, headers=headers, body=response.body)
    try:
        return await _send_file(raw, response.status, headers, response.file)
    finally:
        os.close(response.file.fd)


async def _send_file(
    raw: web.BaseRequest, status: int, headers: dict[str, str], file: FileRange
) -> web.StreamResponse:
    if file.size_bytes <= _INLINE_BYTES:
        return web.Response(
            status=status, headers=headers, body=os.pread(file.fd, file.size_bytes, file.start)
        )
    stream = web.StreamResponse(status=status, headers=headers | {"Content-Length": str(file.size_bytes)})
    await stream.prepare(raw)
    position, end = file.start, file.start + file.size_bytes
    while position < end:
        data = await run_in_thread(os.pread, file.fd, min(_PIECE_BYTES, end - position), position)
        if not data:
            raise ConnectionResetError("the file became shorter while it was sent")
        await stream.write(data)
        position += len(data)
    await stream.write_eof()
    return stream
