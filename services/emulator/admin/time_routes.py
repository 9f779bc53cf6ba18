"""Admin routes that simulate the passing of time: `/clock`, and trimming of partitions as by retention."""

from typing import Annotated

import msgspec
from aiohttp import web

from services.emulator.event_hubs.hubs import HubUnknown
from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer

# Beyond 50 years times would leave the years 1970 to 9999, which every format can write.
_Offset = Annotated[float, msgspec.Meta(ge=-1.5e9, le=1.5e9)]


class _ClockRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT /clock: how far each service's clock is ahead of the machine's, in seconds."""

    event_hubs_offset_s: _Offset = 0.0
    storage_offset_s: _Offset = 0.0


class _TrimRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /hubs/{name}/trim: for each partition, the first sequence number to keep."""

    before: dict[str, Annotated[int, msgspec.Meta(ge=0)]]


class TimeRoutes:
    """Routes that set clock offsets and trim partitions."""

    def __init__(self, event_hubs: EventHubsServer, storage: StorageServer) -> None:
        self._event_hubs = event_hubs
        self._storage = storage

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/clock", self._get_clock),
            web.put("/clock", self._set_clock),
            web.post("/hubs/{name}/trim", self._trim),
        ]

    async def _get_clock(self, _request: web.Request) -> web.Response:
        offsets = {
            "event_hubs_offset_s": self._event_hubs.namespace.clock.offset_s,
            "storage_offset_s": self._storage.clock.offset_s,
        }
        return web.json_response(offsets)

    async def _set_clock(self, request: web.Request) -> web.Response:
        offsets = msgspec.json.decode(await request.read(), type=_ClockRequest)
        self._event_hubs.namespace.clock.offset_s = offsets.event_hubs_offset_s
        self._storage.clock.offset_s = offsets.storage_offset_s
        return await self._get_clock(request)

    async def _trim(self, request: web.Request) -> web.Response:
        """Delete whole segments, as retention does. Responds with the number of deleted events."""
        body = msgspec.json.decode(await request.read(), type=_TrimRequest)
        name = request.match_info["name"]
        hub = self._event_hubs.namespace.hubs.find(name)
        if hub is None:
            raise HubUnknown(f"there is no hub {name}")
        if unknown := body.before.keys() - {str(number) for number in range(len(hub.logs))}:
            return web.json_response(
                {"error": f"{name} has no partition {', '.join(sorted(unknown))}"}, status=400
            )
        events = sum(hub.logs[int(partition)].trim(first) for partition, first in body.before.items())
        return web.json_response({"events": events})
