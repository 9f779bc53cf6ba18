"""A connection that was upgraded to a WebSocket has no request to wait for."""

import aiohttp
import pytest
from aiohttp import web

from shared.http.application import make_application
from shared.http.listener import serve_http
from tests.support.notes_app import RULES, settings_with


async def repeat(request):
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(message.data)
    return websocket


async def test_a_websocket_outlives_the_deadline_of_a_request():
    """Frames go both ways, with pauses longer than a request may take to arrive."""
    settings = settings_with(request_s=0.1, idle_s=0.1)
    app = make_application(settings, RULES, [web.get("/live", repeat)], lambda: False)
    async with (
        serve_http(settings, app) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.ws_connect("/live") as websocket,
    ):
        for _ in range(2):
            await websocket.send_str("still here")
            assert await websocket.receive_str() == "still here"
            with pytest.raises(TimeoutError):
                await websocket.receive(timeout=0.5)
        assert not websocket.closed
