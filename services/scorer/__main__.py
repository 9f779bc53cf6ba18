"""The scorer's process: settings, clients, wiring."""

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from services.scorer.model import load_model
from services.scorer.pricing import Pricer
from services.scorer.registry import read_from_lake, read_shipped
from services.scorer.rest.app import make_app
from services.scorer.rest.listener import serve_http
from services.scorer.serving import ServedModel
from services.scorer.settings import ScorerSettings
from services.scorer.stream.telemetry import GROUP, TelemetryStream
from shared.errors import ModelUnusable, NeedsAttention, SettingsError
from shared.hubs.clients import consumer_client
from shared.hubs.resume import checkpoint_store
from shared.lake import open_lake
from shared.logs import log
from shared.run import run_service

# The SDK's own back-off would take 13 s to say that a key is wrong or a hub is not there.
_RETRIES: dict[str, Any] = {"retry_backoff_factor": 0.1}


async def serve(settings: ScorerSettings, stop: asyncio.Event) -> int | None:
    """Score the stream and serve prices until `stop` is set, then drain."""
    if not (settings.stream or settings.http):
        raise SettingsError("neither stream nor HTTP is on: there is nothing to do")
    async with AsyncExitStack() as stack:
        served = ServedModel(await _load_pricer(settings))
        manifest = served.pricer.manifest
        log.info("model_loaded", model=manifest.name, version=manifest.version)
        stream = await _open_stream(settings, served, stack) if settings.stream else None
        if settings.http:
            app = make_app(settings, served, partial(_is_ready, stop, stream), stop.is_set)
            port = await stack.enter_async_context(serve_http(settings, app))
            log.info("http_listening", host=settings.host, port=port)
        work: Awaitable[object] = stream.run(stop) if stream else stop.wait()
        await work
    return None


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run the scorer; returns its exit code."""
    return run_service(ScorerSettings, overrides, serve)


def _is_ready(stop: asyncio.Event, stream: TelemetryStream | None) -> bool:
    return not stop.is_set() and (stream is None or stream.is_reading)


async def _load_pricer(settings: ScorerSettings) -> Pricer:
    try:
        return Pricer(load_model(await _model_files(settings)))
    except ModelUnusable as error:
        raise NeedsAttention(f"the price model cannot be used: {error}") from error


async def _model_files(settings: ScorerSettings) -> dict[str, bytes]:
    files = None
    if settings.storage.get_secret_value():
        async with open_lake(settings) as lake:
            files = await read_from_lake(lake, settings.version)
    return read_shipped(settings.version) if files is None else files


async def _open_stream(
    settings: ScorerSettings, served: ServedModel, stack: AsyncExitStack
) -> TelemetryStream:
    store = checkpoint_store(settings)
    await stack.enter_async_context(store)
    output = await stack.enter_async_context(
        consumer_client(settings, settings.predictions_hub, "$Default", **_RETRIES)
    )
    source = await stack.enter_async_context(
        consumer_client(settings, settings.telemetry_hub, GROUP, store, **_RETRIES)
    )
    return TelemetryStream(settings, served, source, output, store)


if __name__ == "__main__":
    sys.exit(main())
