"""App Service's identity endpoint and OpenID Connect discovery, as routes of the admin listener."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable
from uuid import uuid4

import msgspec
from aiohttp import web

from services.emulator.identity.claims import SYSTEM_ASSIGNED
from services.emulator.identity.issuer import Assignment, Issuer

API_VERSION = "2019-08-01"
MAX_RESOURCE_CHARS = 1024

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Parameters that name a user-assigned identity; they differ between API versions and SDKs.
_IDENTITY_PARAMETERS = ("client_id", "principal_id", "object_id", "mi_res_id")


class TokenRequest(Assignment, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /identity/tokens."""

    resource: str
    client_id: str = SYSTEM_ASSIGNED


class IdentityEndpoint:
    """Routes that issue tokens to callers with the issuer's secret, and that publish the issuer's keys."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/identity/token", self._require_secret(self._token)),
            web.post("/identity/tokens", self._require_secret(self._issue_for_test)),
            web.put("/identity/principals/{name}", self._require_secret(self._assign)),
            web.delete("/identity/principals/{name}", self._require_secret(self._unassign)),
            web.get("/identity/keys", self._keys),
            web.get("/identity/.well-known/openid-configuration", self._discovery),
        ]

    def _require_secret(self, handler: _Handler) -> _Handler:
        """Wrap a handler so that it requires the issuer's secret.

        The secret is needed because any web page in a browser can send requests to loopback.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            secret = request.headers.get("X-IDENTITY-HEADER", "").encode(errors="surrogateescape")
            if not hmac.compare_digest(secret, self._issuer.header.encode()):
                return _respond_error(
                    401, "The X-IDENTITY-HEADER header is missing or is not IDENTITY_HEADER's."
                )
            return await handler(request)

        return guarded

    async def _token(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("api-version") != API_VERSION:
            return _respond_error(400, f"The api-version must be {API_VERSION}.")
        name = next(filter(None, map(request.query.get, _IDENTITY_PARAMETERS)), SYSTEM_ASSIGNED)
        return await self._issue(request.query.get("resource", ""), name)

    async def _issue_for_test(self, request: web.Request) -> web.StreamResponse:
        body = msgspec.json.decode(await request.read(), type=TokenRequest)
        return await self._issue(body.resource, body.client_id, body)

    async def _assign(self, request: web.Request) -> web.StreamResponse:
        assignment = msgspec.json.decode(await request.read(), type=Assignment)
        self._issuer.assign(request.match_info["name"], assignment)
        return _respond(assignment)

    async def _unassign(self, request: web.Request) -> web.StreamResponse:
        self._issuer.unassign(request.match_info["name"])
        return web.Response(status=204)

    async def _keys(self, _request: web.Request) -> web.Response:
        key = await asyncio.to_thread(self._issuer.key)
        return web.json_response({"keys": [key.jwk]})

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(self._issuer.discovery())

    async def _issue(
        self, resource: str, name: str, assignment: Assignment | None = None
    ) -> web.StreamResponse:
        if not (0 < len(resource) <= MAX_RESOURCE_CHARS and resource.isprintable()):
            return _respond_error(400, "The resource that the token is for must be given.")
        await asyncio.to_thread(self._issuer.key)  # the first call generates the key, which takes a while
        return _respond(self._issuer.issue(resource, name, assignment))


def _respond(value: msgspec.Struct) -> web.Response:
    return web.json_response(body=msgspec.json.encode(value), headers={"Cache-Control": "no-store"})


def _respond_error(status: int, message: str) -> web.Response:
    """Build an error response in the form of App Service's identity endpoint."""
    body = {"statusCode": status, "message": message, "correlationId": str(uuid4())}
    return web.json_response(body, status=status)
