"""Middleware of every request.

It gives the request an id, identifies the caller if the path needs one, answers a refusal with an error
document and counts the request.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import count, groupby

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr
from structlog.contextvars import bind_contextvars

from shared.http.auth.callers import Caller, Callers
from shared.http.connection import connection_of
from shared.http.metrics import Counts, Distribution, Distributions
from shared.http.problems import Refusal, overloaded, problem_response
from shared.http.responses import Answer
from shared.service.logs import log
from shared.service.plain_http import SERVER

REQUESTS = Counts("fleetprice_http_requests_total", "HTTP requests answered", ("route", "status"))
REQUEST_SECONDS = Distributions(
    "fleetprice_http_request_seconds",
    "From the request's head read to its answer made",
    ("route", "status_class"),
    (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
REQUEST_ID = istr("X-Request-Id")
MIDDLEWARE: web.AppKey["RequestMiddleware"] = web.AppKey("middleware")
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
_UNMATCHED = "unmatched"

_ACCEPTED_ID = re.compile(r"[\x21-\x7e]{1,128}")
_INTERNAL_ERROR = str(HTTPStatus.INTERNAL_SERVER_ERROR.value)
_STATUSES = {status: str(status) for status in range(100, 600)}


def _write_problem(_path: str, refusal: Refusal) -> Answer:
    return problem_response(refusal)


@dataclass(frozen=True, slots=True)
class PathRules:
    """How an application treats requests, depending on their path.

    `needs_caller` returns whether a path requires a key or token. `probes` are the routes that are answered
    on extra connections too. `write_error` makes the answer to a refused request of a path; by default that
    is a problem document.
    """

    needs_caller: Callable[[str], bool]
    probes: frozenset[str]
    write_error: Callable[[str, Refusal], Answer] = _write_problem


class RequestMiddleware:
    """A wrapper around each handler.

    It takes the place of aiohttp's own middleware, which would cost every request some microseconds.
    """

    def __init__(
        self, rules: PathRules, callers: Callers, max_requests: int, is_draining: Callable[[], bool]
    ) -> None:
        self._rules = rules
        self._callers = callers
        self._max_requests = max_requests
        self._is_draining = is_draining
        self._in_progress = 0
        self._idle = asyncio.Event()
        self._ids = _request_ids()
        self._log = log.bind()

    async def drain(self, within_s: float) -> None:
        """Wait until no request is in progress, for at most `within_s` seconds.

        From this call on, every answer also closes its connection.
        """
        self._is_draining = lambda: True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._in_progress:
                    self._idle.clear()
                    await self._idle.wait()

    def wrap(self, routes: Iterable[web.RouteDef]) -> Iterator[web.RouteDef]:
        """Yield the routes with wrapped handlers, and routes that refuse every other method and path.

        A path of `routes` with another method is refused with 405, any other path with 404.
        """
        for path, group in groupby(routes, key=lambda one: one.path):
            served = list(group)
            for one in served:
                yield web.route(one.method, path, self._wrap(path, one.handler))
            yield web.route(
                hdrs.METH_ANY, path, self._wrap(path, _refuse_with(partial(_other_method, served)))
            )
        yield web.route(hdrs.METH_ANY, "/{path:.*}", self._wrap(_UNMATCHED, _refuse_with(_not_found)))

    def _wrap(self, route: str, handler: Handler) -> Handler:
        """Return a handler for requests of `route` that does the work of the middleware around `handler`."""
        needs_caller, is_probe = self._rules.needs_caller, route in self._rules.probes
        is_guarded = needs_caller(route)
        seconds: dict[str, Distribution] = {}
        # An alert on failures must see the first one: the rate of a series that begins at 1 is 0.
        REQUESTS.declare((route, _INTERNAL_ERROR))

        async def serve(request: web.Request) -> web.StreamResponse:
            started_s = time.perf_counter()
            offered = request.headers.get(REQUEST_ID)
            request_id = offered if offered and _ACCEPTED_ID.fullmatch(offered) else next(self._ids)
            bind_contextvars(request_id=request_id)  # aiohttp gives every request a context of its own
            connection = connection_of(request)
            connection.start_request(request.content)
            self._in_progress += 1
            try:
                if connection.is_extra and not is_probe:
                    await _refuse_extra(request)
                if is_guarded or (route is _UNMATCHED and needs_caller(request.path)):
                    await self._admit(request)
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - the request's edge: a fault of ours is logged
                response = self._rules.write_error(request.path, _refusal_of(request, error))
            finally:
                self._in_progress -= 1
                if not self._in_progress:
                    self._idle.set()
            headers = response.headers
            headers[REQUEST_ID] = request_id
            headers[hdrs.SERVER] = SERVER
            if connection.is_extra or self._is_draining():
                response.force_close()  # the next request goes to a process with room, or one that stays
            took_s = time.perf_counter() - started_s
            status = _STATUSES[response.status]
            REQUESTS.add((route, status))
            if status[0] not in seconds:  # a class of status that never came has no series
                seconds[status[0]] = REQUEST_SECONDS.with_labels(route, f"{status[0]}xx")
            seconds[status[0]].observe(took_s)
            self._log.debug("request_answered", route=route, status=response.status, took_s=took_s)
            return response

        return serve

    async def _admit(self, request: web.Request) -> None:
        """Find the caller of the request and charge it one unit.

        Raises Refusal: 401 if the request holds no accepted key or token, 403 if the token lacks the role or
        scope, 429 if the caller exceeds its rate limit, 503 if more than `max_requests` are in progress or
        the token issuer's keys are unavailable.
        """
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        caller = self._callers.with_key(authorization) or await self._callers.identify(authorization)
        request[CALLER] = caller
        if self._in_progress > self._max_requests:
            raise overloaded()
        caller.charge(1)


def _request_ids() -> Iterator[str]:
    """Return an iterator of increasing ids that are unique to this process."""
    start = secrets.token_hex(8)
    return (f"{start}{number:016x}" for number in count(1))


def _refuse_with(make_refusal: Callable[[], Refusal]) -> Handler:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise make_refusal()

    return refuse


_refuse_extra = _refuse_with(partial(overloaded, closes=True))


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


def _refusal_of(request: web.Request, error: Exception) -> Refusal:
    """Return the refusal that answers a request whose handler raised `error`.

    A Refusal is returned as it is. An unexpected error is logged and becomes a refusal with status 500.
    """
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        detail = "the body is larger than is accepted"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail, closes=True)
    if isinstance(error, Refusal):
        return error
    log.exception("request_failed", method=request.method, path=request.path)
    detail = "the request failed for a reason of ours: its id stands in the log"
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", detail)
