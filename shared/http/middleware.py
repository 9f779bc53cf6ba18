"""What happens to every request: an id, a caller where one is needed, a problem on refusal, a count."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from itertools import count, groupby

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr
from structlog.contextvars import bind_contextvars

from shared.http.auth.callers import Caller, Callers
from shared.http.connection import connection_of
from shared.http.fast_metrics import Counts, Distributions
from shared.http.problems import Refusal, inference_error_response, overloaded, problem_response
from shared.service.logs import log

REQUESTS = Counts("fleetprice_http_requests", "HTTP requests answered", ("route", "status"))
REQUEST_SECONDS = Distributions(
    "fleetprice_http_request_seconds",
    "From the request's head read to its answer made",
    ("route", "status_class"),
    (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
REQUEST_ID = istr("X-Request-Id")
ENTRANCE: web.AppKey["RequestMiddleware"] = web.AppKey("entrance")
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
INFERENCE = "/v2"
# Everything that prices; probes ask without a key.
_GUARDED = ("/v1/", "/score", INFERENCE)
_OPEN = "/v2/health/"
_UNMATCHED = "unmatched"
# What is asked when there are more connections than there may be, too.
_PROBES = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")

_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")
_STATUSES = {status: str(status) for status in range(100, 600)}


class RequestMiddleware:
    """Stands before each handler by itself: a middleware would cost every request some microseconds."""

    def __init__(self, callers: Callers, max_requests: int, is_draining: Callable[[], bool]) -> None:
        self._callers = callers
        self._max_requests = max_requests
        self._is_draining = is_draining
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._ids = _request_ids()
        self._log = log.bind()

    async def drained(self, within_s: float) -> None:
        """Returns once nothing is in progress, or after that time; who asks meanwhile is served, for once."""
        self._is_draining = lambda: True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._in_progress:
                    self._idle.clear()
                    await self._idle.wait()

    def routes(self, served: Iterable[web.RouteDef]) -> Iterator[web.RouteDef]:
        """The same, each behind this entrance; other methods and paths are refused behind it as well."""
        for path, group in groupby(served, key=lambda one: one.path):
            routes = list(group)
            for one in routes:
                yield web.route(one.method, path, self._before(path, one.handler))
            yield web.route(
                hdrs.METH_ANY, path, self._before(path, _refusing(partial(_other_method, routes)))
            )
        yield web.route(hdrs.METH_ANY, "/{path:.*}", self._before(_UNMATCHED, _refusing(_not_found)))

    def _before(self, route: str, handler: Handler) -> Handler:
        """`handler`, for requests of `route`."""
        is_guarded, is_probe = _is_guarded(route), route in _PROBES
        seconds = {str(number): REQUEST_SECONDS.of(route, f"{number}xx") for number in range(1, 6)}

        async def serve(request: web.Request) -> web.StreamResponse:
            started_s = time.perf_counter()
            offered = request.headers.get(REQUEST_ID)
            request_id = offered if offered and _ACCEPTED_ID.fullmatch(offered) else next(self._ids)
            bind_contextvars(request_id=request_id)  # aiohttp gives every request a context of its own
            connection = connection_of(request)
            connection.head_read(request.content)
            self._in_progress += 1
            try:
                if connection.is_extra and not is_probe:
                    await _refuse_extra(request)
                if is_guarded or (route is _UNMATCHED and _is_guarded(request.path)):
                    await self._admit(request)
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - the request's edge: what is a fault of ours is logged
                response = _answer_to(request, error)
            finally:
                self._in_progress -= 1
                if not self._in_progress:
                    self._idle.set()
            headers = response.headers
            headers[REQUEST_ID] = request_id
            headers[hdrs.SERVER] = "fleetprice"  # strangers need not know which version of what
            if connection.is_extra or self._is_draining():
                response.force_close()  # the caller's next request goes to a scorer with room, or that stays
            took_s = time.perf_counter() - started_s
            status = _STATUSES[response.status]
            REQUESTS.add((route, status))
            seconds[status[0]].observe(took_s)
            self._log.debug("request_answered", route=route, status=response.status, took_s=took_s)
            return response

        return serve

    async def _admit(self, request: web.Request) -> None:
        """Raises Refusal: 401 for a stranger, 429 for who asks too much, 503 while all are asked too much."""
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        caller = self._callers.with_key(authorization) or await self._callers.identify(authorization)
        request[CALLER] = caller
        if self._in_progress > self._max_requests:
            raise overloaded()
        caller.charge(1)


def _is_guarded(path: str) -> bool:
    return path.startswith(_GUARDED) and not path.startswith(_OPEN)


def _request_ids() -> Iterator[str]:
    """Unlike any other process's, and in order."""
    start = secrets.token_hex(8)
    return (f"{start}{number:016x}" for number in count(1))


def _refusing(refusal: Callable[[], Refusal]) -> Handler:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise refusal()

    return refuse


_refuse_extra = _refusing(partial(overloaded, closes=True))


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "not-found", "there is nothing at this path")


def _other_method(routes: Iterable[web.RouteDef]) -> Refusal:
    methods = {one.method for one in routes}
    allowed = methods | ({hdrs.METH_HEAD} if hdrs.METH_GET in methods else set())
    return Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this path takes other methods: see Allow",
        headers={hdrs.ALLOW: ",".join(sorted(allowed))},
    )


def _answer_to(request: web.Request, error: Exception) -> web.StreamResponse:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        detail = "the body is larger than is accepted"
        refusal = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, closes=True)
    elif isinstance(error, Refusal):
        refusal = error
    else:
        log.exception("request_failed", method=request.method, path=request.path)
        detail = "the request failed for a reason of ours: its id stands in the log"
        refusal = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)
    is_inference = request.path == INFERENCE or request.path.startswith(f"{INFERENCE}/")
    return inference_error_response(refusal) if is_inference else problem_response(refusal)
