"""aiohttp's listeners without its own pages.

A request that is not valid HTTP is refused in the listener's form, and no answer names aiohttp and its
version: strangers need not know which version of what has the port.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from aiohttp import hdrs, web

SERVER = "fleetprice"


class PlainHandler(web.RequestHandler):
    """An aiohttp connection whose errors are JSON objects of the field `error` (aiohttp 3.14)."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that is not valid HTTP (400), or whose handler failed (500).

        A failure is logged, the sender's mistake is not. Raises ConnectionError if an answer has begun.
        """
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            super().handle_error(request, status, exc, message)
        elif request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        response = self.make_error(status)
        response.headers.setdefault(hdrs.SERVER, SERVER)
        response.force_close()
        return response

    def make_error(self, status: int) -> web.StreamResponse:
        """Return the answer for a status: 400, 500, or another."""
        return web.json_response({"error": describe_error(status)}, status=status)


def describe_error(status: int) -> str:
    if status == HTTPStatus.BAD_REQUEST:
        return "the request is not valid HTTP"
    return HTTPStatus(status).description or HTTPStatus(status).phrase


@asynccontextmanager
async def serve_plain(app: web.Application, host: str, port: int, *, close_s: float) -> AsyncIterator[int]:
    """Serve `app` and yield its port. At the end, requests in progress have `close_s` seconds.

    Raises OSError if the port cannot be opened.
    """
    app.on_response_prepare.append(_hide_software)
    runner = web.AppRunner(app, shutdown_timeout=close_s)
    await runner.setup()
    loop = asyncio.get_running_loop()
    # Compressed request bodies are not decompressed: no handler accepts them, and aiohttp would drop the
    # connection without a response if decompression failed.
    options: dict[str, Any] = {"access_log": None, "auto_decompress": False}
    try:
        listening = await loop.create_server(
            partial(PlainHandler, cast(web.Server, runner.server), loop=loop, **options), host, port
        )
        try:
            yield int(listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
    finally:
        await runner.cleanup()


async def _hide_software(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = SERVER
