"""What happens to every request: an id, a count, a key where one is needed, a problem document on refusal."""

import re
import time
from http import HTTPStatus
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import Counter, Histogram
from structlog.contextvars import bound_contextvars

from services.scorer.rest.api_keys import ApiKeys
from services.scorer.rest.problems import Refusal, problem_response

REQUESTS = Counter("fleetprice_http_requests_total", "HTTP requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "fleetprice_http_request_seconds",
    "From the request's head read to its answer made",
    ["route"],
    buckets=(0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
REQUEST_ID = "X-Request-Id"
GUARDED = "/v1/"

_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")
_KINDS = {
    HTTPStatus.NOT_FOUND: ("not-found", "there is nothing at this path"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "this path takes other methods: see Allow"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too-large", "the body is larger than is accepted"),
}


@web.middleware
async def identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Echo the caller's request id, or give one; it stands in every log event of the request."""
    offered = request.headers.get(REQUEST_ID, "")
    request_id = offered if _ACCEPTED_ID.fullmatch(offered) else uuid4().hex
    with bound_contextvars(request_id=request_id):
        response = await handler(request)
    response.headers[REQUEST_ID] = request_id
    return response


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count by route and status, both from closed sets."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unmatched"
    started_s = time.perf_counter()
    status = HTTPStatus.INTERNAL_SERVER_ERROR.value
    try:
        response = await handler(request)
        status = response.status
    finally:
        REQUESTS.labels(route, status).inc()
        REQUEST_SECONDS.labels(route).observe(time.perf_counter() - started_s)
    return response


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals, aiohttp's own included, with a problem document."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return problem_response(refusal)
    except web.HTTPException as error:
        return problem_response(_refusal_of(error))


def guarded(keys: ApiKeys) -> Middleware:
    """Ask for a key where prices are served; health and metrics are for the cluster."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(GUARDED):
            keys.check(request.headers.get("Authorization"))
        return await handler(request)

    return checked


def _refusal_of(error: web.HTTPException) -> Refusal:
    status = HTTPStatus(error.status)
    kind, detail = _KINDS.get(status, ("refused", error.reason))
    refusal = Refusal(status, kind, detail)
    if "Allow" in error.headers:
        refusal.headers["Allow"] = error.headers["Allow"]
    return refusal
