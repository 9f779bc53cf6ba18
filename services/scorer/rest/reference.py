"""`GET /openapi.json` and `GET /docs`: what can be asked, for programs and for people, without a key."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from services.scorer.rest.answers import Answer
from services.scorer.rest.bodies import JSON
from services.scorer.rest.reference_page import CONTENT_SECURITY_POLICY, reference_page


def reference_routes(document: Mapping[str, Any]) -> list[web.RouteDef]:
    """Both are made once."""
    encoded = msgspec.json.encode(document)
    page = reference_page(document).encode()

    async def openapi(_request: web.Request) -> Answer:
        return Answer(encoded, JSON)

    async def docs(_request: web.Request) -> Answer:
        answer = Answer(page, "text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return answer

    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]
