"""Problem documents (RFC 9457): what went wrong with a request, or with one of its items."""

from http import HTTPStatus

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

CONTENT_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, omit_defaults=True):
    """`type` names the kind for programs; `pointer` is a JSON pointer (RFC 6901) into the request's body."""

    type: str
    title: str
    detail: str
    status: int | UnsetType = UNSET
    pointer: str | UnsetType = UNSET


class Refusal(Exception):
    """The request as a whole cannot be served; raised by handlers, answered by the middleware."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str, pointer: str | UnsetType = UNSET) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.pointer = pointer
        self.headers: dict[str, str] = {}


def kind_uri(kind: str) -> str:
    return f"urn:fleetprice:problem:{kind}"


def problem_response(refusal: Refusal) -> web.Response:
    """The answer to a refused request."""
    problem = Problem(
        type=kind_uri(refusal.kind),
        title=refusal.status.phrase,
        detail=refusal.detail,
        status=refusal.status.value,
        pointer=refusal.pointer,
    )
    return web.Response(
        status=refusal.status,
        body=msgspec.json.encode(problem),
        headers={"Content-Type": CONTENT_TYPE, **refusal.headers},
    )
