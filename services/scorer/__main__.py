"""The scorer's process: settings, clients, wiring."""

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from services.scorer.automobile import AutomobilePricer
from services.scorer.model import PriceModel, load_model
from services.scorer.pricing import Pricer
from services.scorer.registry import read_from_lake, read_shipped
from services.scorer.rest.app import make_app
from services.scorer.rest.listener import serve_http
from services.scorer.serving import Served, ServedModel
from services.scorer.settings import ScorerSettings
from services.scorer.stream.telemetry import GROUP, TelemetryStream
from shared.errors import ModelUnusable, NeedsAttention, SettingsError
from shared.hubs.clients import consumer_client
from shared.hubs.resume import checkpoint_store
from shared.lake import open_lake
from shared.logs import log
from shared.run import run_service
from shared.shipped_models import AUTOMOBILE, PRICE

# The SDK's own back-off would take 13 s to say that a key is wrong or a hub is not there.
_RETRIES: dict[str, Any] = {"retry_backoff_factor": 0.1}


async def serve(settings: ScorerSettings, stop: asyncio.Event) -> int | None:
    """Score the stream and serve prices until `stop` is set, then drain."""
    if not (settings.stream or settings.http):
        raise SettingsError("neither stream nor HTTP is on: there is nothing to do")
    async with AsyncExitStack() as stack:
        served = Served(Pricer(await _load(settings, PRICE, settings.version)))
        stream = await _open_stream(settings, served, stack) if settings.stream else None
        if settings.http:
            automobile = Served(AutomobilePricer(await _load(settings, AUTOMOBILE, None)))
            app = make_app(settings, served, partial(_is_ready, stop, stream), stop.is_set, automobile)
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


async def _load(settings: ScorerSettings, name: str, version: str | None) -> PriceModel:
    try:
        model = load_model(await _model_files(settings, name, version))
    except ModelUnusable as error:
        raise NeedsAttention(f"the {name} model cannot be used: {error}") from error
    log.info("model_loaded", model=name, version=model.manifest.version)
    return model


async def _model_files(settings: ScorerSettings, name: str, version: str | None) -> dict[str, bytes]:
    files = None
    if settings.storage.get_secret_value():
        async with open_lake(settings) as lake:
            files = await read_from_lake(lake, version, name)
    return read_shipped(version, name) if files is None else files


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
