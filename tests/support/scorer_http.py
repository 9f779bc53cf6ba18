"""The scorer's HTTP side over real sockets."""

import json
from dataclasses import dataclass

import aiohttp

KEY = {"Authorization": "Bearer fleetprice-dev-key"}


# How a request begins that is written to a socket by hand.
HEAD = b"POST /v1/prices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fleetprice-dev-key\r\n"


@dataclass(frozen=True)
class Http:
    """A client of one running scorer; every answer is read whole."""

    session: aiohttp.ClientSession
    port: int

    async def ask(self, method, path, body=None, **headers):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.session.request(method, path, data=data, headers=given) as response:
            await response.read()
            return response

    async def post(self, body, path="/v1/prices", **headers):
        """The answer and its JSON."""
        response = await self.ask("POST", path, body, **headers)
        return response, await response.json(content_type=None)

    async def refused(self, body, status, path="/v1/prices", **headers):
        """The problem document of a request that must be refused."""
        response, problem = await self.post(body, path, **headers)
        assert response.status == status
        assert response.content_type == "application/problem+json"
        assert problem["status"] == status
        assert problem["type"].startswith("urn:fleetprice:problem:")
        return problem
