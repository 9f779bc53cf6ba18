"""Problem documents (RFC 9457), and the exception that a handler raises to refuse a request."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from shared.http.responses import Answer

CONTENT_TYPE = "application/problem+json"
OVERLOADED_RETRY_S = 1


class Problem(Struct, frozen=True, omit_defaults=True):
    """A fault of a request or of one of its items (RFC 9457)."""

    type: Annotated[str, Meta(description="The kind, for programs: urn:fleetprice:problem:…")]
    title: str
    detail: Annotated[str, Meta(description="What to change, for people")]
    status: int | UnsetType = UNSET
    pointer: (
        Annotated[str, Meta(description="JSON pointer (RFC 6901) to the field in the request's body")]
        | UnsetType
    ) = UNSET


class Refusal(Exception):
    """The error that a request cannot be served as a whole.

    A handler raises it; the middleware answers it.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        pointer: str | UnsetType = UNSET,
        *,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        """Make the refusal.

        If `closes` is True, the answer also closes the connection: part of the body may not have been read.
        """
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.pointer = pointer
        self.headers = dict(headers or {})
        self.closes = closes


def overloaded(*, closes: bool = False) -> Refusal:
    """Return the refusal (503) of a request that would have to wait.

    Refusing it at once keeps the accepted requests quick.
    """
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "overloaded",
        "too many requests are being served: try again",
        headers={"Retry-After": str(OVERLOADED_RETRY_S)},
        closes=closes,
    )


def kind_uri(kind: str) -> str:
    return f"urn:fleetprice:problem:{kind}"


def problem_response(refusal: Refusal) -> Answer:
    """Return the answer to a refused request as a problem document."""
    problem = Problem(
        type=kind_uri(refusal.kind),
        title=refusal.status.phrase,
        detail=refusal.detail,
        status=refusal.status.value,
        pointer=refusal.pointer,
    )
    return refusal_response(refusal, msgspec.json.encode(problem), CONTENT_TYPE)


def refusal_response(refusal: Refusal, body: bytes, content_type: str) -> Answer:
    """Return the answer to a refused request with a body in a form of the service's choice.

    The status and headers are those of the refusal.
    """
    response = Answer(body, content_type, refusal.status, refusal.headers)
    if refusal.closes:
        response.force_close()
    return response
