"""What happens to every request: an id, a caller where one is needed, a problem on refusal, a count."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars

from services.scorer.rest.callers import Caller, Callers
from services.scorer.rest.problems import Refusal, inference_error_response, overloaded, problem_response
from shared.logs import log

REQUESTS = Counter("fleetprice_http_requests_total", "HTTP requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "fleetprice_http_request_seconds",
    "From the request's head read to its answer made",
    ["route", "status_class"],
    buckets=(0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
REQUEST_ID = "X-Request-Id"
ENTRANCE: web.AppKey["Entrance"] = web.AppKey("entrance")
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
INFERENCE = "/v2"
# Everything that prices; probes ask without a key.
_GUARDED = ("/v1/", "/score", INFERENCE)
_OPEN = "/v2/health/"

_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")
_KINDS = {
    HTTPStatus.BAD_REQUEST: ("malformed-request", "the request is no HTTP that is understood"),
    HTTPStatus.NOT_FOUND: ("not-found", "there is nothing at this path"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "this path takes other methods: see Allow"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too-large", "the body is larger than is accepted"),
}


class Entrance:
    """One middleware for all of it: each further one costs every request some microseconds."""

    def __init__(self, callers: Callers, max_requests: int, is_draining: Callable[[], bool]) -> None:
        self._callers = callers
        self._max_requests = max_requests
        self._is_draining = is_draining
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._ids = _request_ids()

    async def drained(self, within_s: float) -> None:
        """Returns once nothing is in progress, or after that time; who asks meanwhile is served, for once."""
        self._is_draining = lambda: True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._in_progress:
                    self._idle.clear()
                    await self._idle.wait()

    @web.middleware
    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s = time.perf_counter()
        offered = request.headers.get(REQUEST_ID)
        request_id = offered if offered and _ACCEPTED_ID.fullmatch(offered) else next(self._ids)
        bind_contextvars(request_id=request_id)  # aiohttp gives every request a context of its own
        self._in_progress += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self._in_progress -= 1
            if not self._in_progress:
                self._idle.set()
        response.headers[REQUEST_ID] = request_id
        response.headers["Server"] = "fleetprice"  # strangers need not know which version of what
        if self._is_draining():
            response.force_close()  # the caller's next request goes to a scorer that stays
        took_s = time.perf_counter() - started_s
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        requests, seconds = _series(route, response.status)
        requests.inc()
        seconds.observe(took_s)
        log.debug("request_answered", route=route, status=response.status, took_s=took_s)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path.startswith(_GUARDED) and not request.path.startswith(_OPEN):
                await self._admit(request)
            return await handler(request)
        except Refusal as refusal:
            return _refused(request, refusal)
        except web.HTTPException as error:
            return _refused(request, _refusal_of(error))
        except Exception:  # noqa: BLE001 - the request's edge: the caller gets an id that stands in the log
            log.exception("request_failed", method=request.method, path=request.path)
            detail = "the request failed for a reason of ours: its id stands in the log"
            return _refused(request, Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail))

    async def _admit(self, request: web.Request) -> None:
        """Raises Refusal: 401 for a stranger, 429 for who asks too much, 503 while all are asked too much."""
        request[CALLER] = caller = await self._callers.identify(request.headers.get("Authorization"))
        if self._in_progress > self._max_requests:
            raise overloaded()
        caller.charge(1)


@lru_cache(maxsize=1024)  # both label values come from closed sets
def _series(route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(route, status), REQUEST_SECONDS.labels(route, f"{status // 100}xx")


def _request_ids() -> Iterator[str]:
    """Unlike any other process's, and in order."""
    start = secrets.token_hex(8)
    return (f"{start}{number:016x}" for number in count(1))


def _refused(request: web.Request, refusal: Refusal) -> web.Response:
    is_inference = request.path == INFERENCE or request.path.startswith(f"{INFERENCE}/")
    return inference_error_response(refusal) if is_inference else problem_response(refusal)


def _refusal_of(error: web.HTTPException) -> Refusal:
    status = HTTPStatus(error.status)
    kind, detail = _KINDS.get(status, ("refused", error.reason))
    closes = status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    refusal = Refusal(status, kind, detail, closes=closes)
    if "Allow" in error.headers:
        refusal.headers["Allow"] = error.headers["Allow"]
    return refusal
