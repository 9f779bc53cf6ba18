"""Client of a running emulator's admin listener."""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

from shared.service.errors import NeedsAttention

_TIMEOUT_S = 30.0  # creating a hub of 1,024 partitions takes a while


class AdminClient:
    """A client of the admin listener.

    Its methods raise NeedsAttention, with a one-line message, if the emulator refuses or does not respond.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port or http.client.HTTP_PORT
        except ValueError as exc:
            raise NeedsAttention(f"{url} is no URL: {exc}") from exc
        if parts.scheme != "http" or not parts.hostname:
            raise NeedsAttention(
                f"{url} is no URL of an emulator's admin listener, like http://127.0.0.1:5300"
            )
        self._url = url
        self._host, self._port = parts.hostname, port

    def hubs(self) -> list[dict[str, Any]]:
        hubs: list[dict[str, Any]] = self._request("GET", "/hubs")
        return hubs

    def hub(self, name: str) -> dict[str, Any]:
        hub: dict[str, Any] = self._request("GET", f"/hubs/{quote(name, safe='')}")
        return hub

    def create_hub(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Create a hub with `options`, the body of PUT /hubs/{name}.

        Raises NeedsAttention if the hub exists, or if the emulator refuses or does not respond.
        """
        if any(hub["name"].lower() == name.lower() for hub in self.hubs()):
            raise NeedsAttention(f"hub {name} exists already")
        hub: dict[str, Any] = self._request("PUT", f"/hubs/{quote(name, safe='')}", options)
        return hub

    def delete_hub(self, name: str) -> None:
        self._request("DELETE", f"/hubs/{quote(name, safe='')}")

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise NeedsAttention(
                f"no emulator answers at {self._url} ({exc or type(exc).__name__}): "
                "start one with `fleetprice emulator`, or name a running one with --data or --admin"
            ) from exc
        finally:
            connection.close()
        if response.status == http.client.NO_CONTENT:
            return None
        try:
            decoded = json.loads(text)
            if response.status < http.client.BAD_REQUEST:
                return decoded
            sentence = str(decoded["error"])
        except (ValueError, TypeError, KeyError) as exc:
            raise NeedsAttention(f"what answers at {self._url} is no fleetprice emulator") from exc
        raise NeedsAttention(sentence)
