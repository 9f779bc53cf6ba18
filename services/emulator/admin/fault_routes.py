"""Admin routes for fault injection: `/faults` for both services, and `/throughput-units`."""

from typing import Any, Literal

import msgspec
from aiohttp import web

from services.emulator.armed_faults import ArmedFault, FaultBook, describe
from services.emulator.event_hubs.faults import Fault as HubFault
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.faults import Fault as StorageFault
from services.emulator.storage.server import StorageServer


class _FaultAddress(msgspec.Struct, frozen=True):
    """The field of a fault that names its service. The other fields of the body depend on the service."""

    service: Literal["event_hubs", "storage"] = "event_hubs"


class _UnitsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /throughput-units. The value null means no limit."""

    throughput_units: float | None


class FaultRoutes:
    """Routes that arm, list and clear faults, and limit throughput."""

    def __init__(self, event_hubs: EventHubsServer, storage: StorageServer) -> None:
        self._event_hubs = event_hubs
        self._storage = storage

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/faults", self._list),
            web.post("/faults", self._inject),
            web.delete("/faults", self._clear),
            web.delete("/faults/{id}", self._disarm),
            web.get("/throughput-units", self._get_units),
            web.put("/throughput-units", self._set_units),
        ]

    def _books(self) -> tuple[FaultBook[Any], ...]:
        return self._event_hubs.faults.book, self._storage.faults.book

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response([fault for book in self._books() for fault in book.describe_all()])

    async def _inject(self, request: web.Request) -> web.Response:
        body = await request.read()
        armed: ArmedFault[Any]
        if msgspec.json.decode(body, type=_FaultAddress).service == "storage":
            armed = self._storage.faults.inject(msgspec.json.decode(body, type=StorageFault))
        else:
            armed = self._event_hubs.faults.inject(msgspec.json.decode(body, type=HubFault))
        return web.json_response(describe(armed), status=201)

    async def _clear(self, _request: web.Request) -> web.Response:
        for book in self._books():
            book.clear()
        return web.Response(status=204)

    async def _disarm(self, request: web.Request) -> web.Response:
        fault_id = request.match_info["id"]
        if any(book.disarm(fault_id) for book in self._books()):
            return web.Response(status=204)
        return web.json_response({"error": f"no fault {fault_id} is armed"}, status=404)

    async def _get_units(self, _request: web.Request) -> web.Response:
        throughput = self._event_hubs.throughput
        return web.json_response(
            {"throughput_units": throughput.units, "refused_sends": throughput.refused_sends}
        )

    async def _set_units(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=_UnitsRequest)
        try:
            self._event_hubs.throughput.set_units(body.throughput_units)
        except ValueError as refused:
            return web.json_response({"error": str(refused)}, status=400)
        return await self._get_units(request)
