"""`GET /openapi.json` and `GET /docs`: what can be asked, for programs and for people, without a key."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
from aiohttp import web

from services.scorer.rest.api_docs.openapi import openapi_document
from services.scorer.rest.api_docs.page import CONTENT_SECURITY_POLICY, reference_page
from services.scorer.rest.inference.endpoint import ServedInference
from shared.http.request_body import JSON
from shared.http.responses import Answer


def docs_routes(served: Sequence[str], models: Sequence[ServedInference]) -> list[web.RouteDef]:
    """Of the operations whose ids are `served`; made anew when another version of a model serves."""

    @lru_cache(maxsize=1)
    def made(*_versions: tuple[str, str]) -> tuple[bytes, bytes]:
        document = openapi_document(served, [one.manifest for one in models])
        return msgspec.json.encode(document), reference_page(document).encode()

    def now() -> tuple[bytes, bytes]:
        return made(*((one.manifest.name, one.manifest.version) for one in models))

    async def openapi(_request: web.Request) -> Answer:
        return Answer(now()[0], JSON)

    async def docs(_request: web.Request) -> Answer:
        answer = Answer(now()[1], "text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return answer

    now()
    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]
