"""The two servers that `bench.http_single` compares: the scorer's own application, and a bare handler."""

import asyncio
import gc
import sys

import msgspec
import numpy as np
import uvloop
from aiohttp import web

from services.scorer.model import load_model
from services.scorer.pricing import Pricer
from services.scorer.registry import read_shipped
from services.scorer.rest.app import make_app
from services.scorer.rest.listener import serve_http
from services.scorer.serving import ServedModel
from services.scorer.settings import ScorerSettings
from shared.logs import set_up_logs
from shared.metrics import serve_app

WORDS = ("make", "model", "transmission", "fuel_type")
NUMBERS = ("year", "odometer_km", "engine_l", "rated_consumption_l_100km")


def bare_app() -> web.Application:
    """JSON in, one run, JSON out: no checks, no caller, no metrics."""
    session = load_model(read_shipped(None)).session

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


async def serve(kind: str) -> None:
    settings = ScorerSettings.model_validate({"http_port": 0, "vehicles_per_s": 1e9, "vehicles_burst": 1e9})
    set_up_logs(settings, "scorer")
    if kind == "ours":
        served = ServedModel(Pricer(load_model(read_shipped(None))))
        serving = serve_http(settings, make_app(settings, served, lambda: True))
    else:
        serving = serve_app(bare_app(), "127.0.0.1", 0, "PORT")
    # As every service's process has it (shared/run.py); the bare handler as well.
    gc.freeze()
    gc.set_threshold(20_000)
    async with serving as port:
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
