"""A bare aiohttp handler that runs the same graph: the floor of the scorer over HTTP.

`python -m services.cli.bench.http.floor` decodes a vehicle, runs the graph of the shipped champion and
returns the price. It has no checks, callers' allowances or metrics. It uses uvloop and a frozen heap, like
the scorer, and prints one JSON line with the port that it listens on.
"""

import asyncio
import gc
import json

import msgspec
import numpy as np
import uvloop
from aiohttp import web

from services.cli.bench.http.requests import NUMBERS, WORDS
from services.cli.bench.scorer.onnx_floor import load_shipped_champion
from shared.service.metrics import serve_app

_COLLECT_EVERY_OBJECTS = 20_000


def bare_app() -> web.Application:
    """Return an app that decodes a JSON request, runs the graph once and encodes a JSON answer."""
    session, _ = load_shipped_champion()

    async def price(request: web.Request) -> web.Response:
        vehicle = msgspec.json.decode(await request.read())
        cat = np.array([[vehicle[name].lower() for name in WORDS]], dtype=np.object_)
        num = np.array([[vehicle[name] for name in NUMBERS]], dtype=np.float32)
        amounts = session.run(None, {"cat": cat, "num": num})
        answer = dict(zip(("price", "lower", "upper"), (float(one[0]) for one in amounts), strict=True))
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/v1/prices", price)])
    return app


async def _serve() -> None:
    async with serve_app(bare_app(), "127.0.0.1", 0, "PORT") as port:
        print(json.dumps({"event": "listening", "port": port}), flush=True)  # noqa: T201 - the output of this process
        await asyncio.Event().wait()


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY_OBJECTS)
    uvloop.run(_serve())
