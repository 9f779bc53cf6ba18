"""`GET /openapi.json` and `GET /docs`: the API's documents for programs and for people, without a key."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from aiohttp import web

from services.scorer.rest.api_docs.openapi import openapi_document
from services.scorer.rest.api_docs.page import CONTENT_SECURITY_POLICY, docs_page
from services.scorer.rest.inference.endpoint import ServedInference
from shared.http.request_body import JSON
from shared.http.responses import Answer


def docs_routes(served: Sequence[str], models: Sequence[ServedInference]) -> list[web.RouteDef]:
    """Return routes of the documents of operations `served`, by id; a swap of a model rebuilds them."""

    @lru_cache(maxsize=1)
    def build(*_versions: tuple[str, str]) -> tuple[bytes, bytes]:
        document = openapi_document(served, [one.manifest for one in models])
        return msgspec.json.encode(document), docs_page(document).encode()

    def current() -> tuple[bytes, bytes]:
        return build(*((one.manifest.name, one.manifest.version) for one in models))

    async def openapi(_request: web.Request) -> Answer:
        return Answer(current()[0], JSON)

    async def docs(_request: web.Request) -> Answer:
        answer = Answer(current()[1], "text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return answer

    current()  # a fault in them stops the start, not a request
    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]
