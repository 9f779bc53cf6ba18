"""The admin listener: JSON over HTTP on loopback, for health, hubs, faults, time and identity."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import hdrs, web

from services.emulator.admin.fault_routes import FaultRoutes
from services.emulator.admin.time_routes import TimeRoutes
from services.emulator.event_hubs.hub_description import HubKey, HubRefused
from services.emulator.event_hubs.hubs import Hub, HubUnknown
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.identity.endpoint import IdentityEndpoint
from services.emulator.identity.issuer import Issuer
from services.emulator.storage.server import StorageServer
from shared.http.page_guard import find_foreign_page
from shared.service.errors import PortInUse
from shared.service.plain_http import describe_error, serve_plain

LOOPBACK = "127.0.0.1"
_CLOSE_S = 1.0

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HubRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /hubs/{name}.

    If `consumer_groups` is omitted, any group is accepted; if `keys` is omitted, the existing keys are kept.
    """

    partition_count: int = 4
    consumer_groups: tuple[str, ...] | None = None
    retention_hours: float = 24
    keys: tuple[HubKey, ...] | None = None


class AdminServer:
    """The admin server, an async context manager. It requires no key, and so listens on loopback only."""

    def __init__(
        self,
        event_hubs: EventHubsServer,
        storage: StorageServer,
        *,
        port: int = 0,
        issuer: Issuer | None = None,
    ) -> None:
        """Prepare the routes. With an issuer, the server also serves the issuer's identity endpoint."""
        self._event_hubs = event_hubs
        self._issuer = issuer
        self.port = port
        application = web.Application(middlewares=[_refuse_foreign_pages, _refusals_as_json])
        self._serving = contextlib.AsyncExitStack()
        self._application = application
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/hubs", self._list_hubs),
                web.get("/hubs/{name}", self._get_hub),
                web.put("/hubs/{name}", self._put_hub),
                web.delete("/hubs/{name}", self._delete_hub),
            ]
        )
        application.add_routes(FaultRoutes(event_hubs, storage).routes())
        application.add_routes(TimeRoutes(event_hubs, storage).routes())
        if issuer is not None:
            application.add_routes(IdentityEndpoint(issuer).routes())

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        serving = serve_plain(self._application, LOOPBACK, self.port, close_s=_CLOSE_S)
        try:
            self.port = await self._serving.enter_async_context(serving)
        except OSError as exc:
            raise PortInUse(f"admin cannot listen on {LOOPBACK}:{self.port}: {exc.strerror}") from exc
        if self._issuer is not None:
            self._issuer.set_base_url(self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._serving.aclose()

    async def _health(self, _request: web.Request) -> web.Response:
        # The same response as Microsoft's emulator, word for word.
        return web.json_response({"status": "healthy", "message": "Service is healthy."})

    async def _list_hubs(self, _request: web.Request) -> web.Response:
        return web.json_response([_describe_hub(hub) for hub in self._event_hubs.namespace.hubs])

    async def _get_hub(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if (hub := self._event_hubs.namespace.hubs.find(name)) is None:
            raise HubUnknown(f"there is no hub {name}")
        return web.json_response(_describe_hub(hub))

    async def _put_hub(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read() or b"{}", type=HubRequest)
        name = request.match_info["name"]
        is_new = self._event_hubs.namespace.hubs.find(name) is None
        hub = self._event_hubs.create_hub(
            name, body.partition_count, body.consumer_groups, body.retention_hours, body.keys
        )
        return web.json_response(_describe_hub(hub), status=201 if is_new else 200)

    async def _delete_hub(self, request: web.Request) -> web.Response:
        self._event_hubs.delete_hub(request.match_info["name"])
        return web.Response(status=204)


@web.middleware
async def _refuse_foreign_pages(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse web pages: there is no key, and a page could arm faults or delete hubs."""
    if (reason := find_foreign_page(request.method, request.headers)) is not None:
        return web.json_response({"error": reason}, status=403)
    return await handler(request)


@web.middleware
async def _refusals_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except msgspec.DecodeError as exc:
        return web.json_response({"error": str(exc)}, status=400)
    except HubRefused as exc:
        return web.json_response({"error": str(exc)}, status=409)
    except HubUnknown as exc:
        return web.json_response({"error": str(exc)}, status=404)
    except web.HTTPException as exc:  # no such route, or not with this method
        allowed = {name: value for name, value in exc.headers.items() if name == hdrs.ALLOW}
        return web.json_response({"error": describe_error(exc.status)}, status=exc.status, headers=allowed)


def _describe_hub(hub: Hub) -> dict[str, Any]:
    description = hub.description
    return {
        "name": hub.name,
        "created_at": _format_time(description.created_at_ms),
        "partition_count": description.partition_count,
        "consumer_groups": description.consumer_groups,
        "retention_hours": description.retention_hours,
        # Without the key's value: its creator knows it.
        "keys": [{"name": key.name, "claims": key.claims} for key in description.keys],
        "partitions": [_describe_partition(hub, number) for number in range(description.partition_count)],
    }


def _describe_partition(hub: Hub, number: int) -> dict[str, Any]:
    state = hub.logs[number].state()
    return {
        "id": str(number),
        "begin_sequence_number": state.begin_sequence_number,
        "damaged_events": hub.logs[number].damaged_events,
        "last_enqueued_sequence_number": state.last_sequence_number,
        "last_enqueued_offset": state.last_offset,
        "last_enqueued_time": None
        if state.last_enqueued_ms is None
        else _format_time(state.last_enqueued_ms),
    }


def _format_time(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
