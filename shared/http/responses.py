"""Responses whose head and body are written together."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter


class Answer(web.StreamResponse):
    """A response with a given status, body and headers.

    aiohttp's own response class also prepares for chunked, compressed and HTTP/1.0 responses and for cookies,
    which this class never needs. That preparation would take a quarter as long as a small handler's own work.
    """

    def __init__(
        self,
        body: bytes,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status=status, headers=headers)
        self.headers[hdrs.CONTENT_TYPE] = content_type
        self.headers[hdrs.CONTENT_LENGTH] = str(len(body))
        self._status_line = f"HTTP/1.1 {status.value} {status.phrase}"
        self._whole = body
        self._closes = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the head and the body of the response."""
        headers, writer = self.headers, request.writer
        headers[hdrs.DATE] = _format_date(int(time.time()))
        if not request.keep_alive:
            self.force_close()
        if self.keep_alive is False:
            headers[hdrs.CONNECTION] = "close"
        elif request.version < HttpVersion11:
            headers[hdrs.CONNECTION] = "keep-alive"
        await writer.write_headers(self._status_line, headers)
        await writer.write_eof(b"" if request.method == hdrs.METH_HEAD else self._whole)
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: `prepare` has already written the whole response."""

    @property
    def keep_alive(self) -> bool:
        return not self._closes

    def force_close(self) -> None:
        self._closes = True


@lru_cache(maxsize=2)
def _format_date(now_s: int) -> str:
    return formatdate(now_s, usegmt=True)
