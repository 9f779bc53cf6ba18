"""The connection of one client of storage."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from aiohttp import web

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.delivery import SERVER
from services.emulator.storage.wire.response import error_response
from services.emulator.storage.wire.routing import Dialect
from shared.service.plain_http import PlainHandler, describe_error

_LINGERING_S = 1.0  # for a client that keeps sending a refused body
_MAX_HEADER_BYTES = 16 * 1024  # user metadata may be 8 KiB


class StorageConnection(PlainHandler):
    """A connection whose requests are answered in Blob storage's form even if they are not valid HTTP."""

    __slots__ = ()

    def __init__(self, server: web.Server) -> None:
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,  # bodies are stored as sent
            "lingering_time": _LINGERING_S,
            "max_field_size": _MAX_HEADER_BYTES,
            "max_line_size": _MAX_HEADER_BYTES,
        }
        super().__init__(server, loop=asyncio.get_running_loop(), **options)

    def make_error(self, status: int) -> web.Response:
        """Return the answer for a status, in XML."""
        is_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        refused = Refused("InternalError" if is_fault else "InvalidInput", detail=describe_error(status))
        now = datetime.now(UTC).isoformat()
        made = error_response(refused, Dialect.BLOB, request_id=str(uuid4()), now=now, head=False)
        return web.Response(status=status, headers={**made.headers, "Server": SERVER}, body=made.body)
