"""Request bodies, read within limits of size and time."""

import asyncio
from collections.abc import Collection
from http import HTTPStatus

from aiohttp import hdrs, web

from shared.http.connection import connection_of
from shared.http.problems import Refusal

JSON = "application/json"


def require_content_type(request: web.Request, accepted: Collection[str]) -> None:
    """Check that the body has an accepted content type and is not compressed.

    A request without a Content-Type header passes. Raises Refusal (415) if the check fails.
    """
    given = request.headers.get(hdrs.CONTENT_TYPE)
    if given and given not in accepted and request.content_type not in accepted:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wrong-type", f"send {' or '.join(accepted)}")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "compressed",
            "send the body uncompressed",
            headers={"Accept-Encoding": "identity"},  # RFC 7694
        )


async def read_body(request: web.Request) -> bytes:
    """Return the whole body of the request.

    Raises Refusal: 408 if the body arrives too slowly, 400 if it breaks off or is badly framed. Raises
    HTTPRequestEntityTooLarge, which the middleware answers with 413, if it is larger than the application
    accepts.
    """
    try:
        if request.content.is_eof():  # it came with its head, as nearly all do
            body = request.content.read_nowait()
            if len(body) > request.client_max_size:
                raise web.HTTPRequestEntityTooLarge(request.client_max_size)
            return body
        if (request.content_length or 0) > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size)
        async with asyncio.timeout_at(connection_of(request).body_due_s):
            return await request.read()
    except TimeoutError as error:
        detail = f"the request did not arrive within {connection_of(request).request_timeout_s:g} s"
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail, closes=True) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        detail = f"the body cannot be read: {error}"
        raise Refusal(HTTPStatus.BAD_REQUEST, "malformed-request", detail, closes=True) from error
