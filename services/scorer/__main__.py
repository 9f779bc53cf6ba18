"""The scorer's process: reads the settings, opens the clients, and connects stream and HTTP."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from services.scorer.rest.app import make_app
from services.scorer.rest.http_settings import http_settings
from services.scorer.settings import ScorerSettings
from services.scorer.stream.partition import Models
from services.scorer.stream.stream import GROUP, HintWriter, StreamScorer
from services.scorer.workers import score_by_workers
from shared.http.auth.key_sources import read_keys
from shared.http.listener import serve_http
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.pricing.automobile import AutomobilePricer
from shared.pricing.pricer import ActivePriceModel, Pricer
from shared.pricing.version_loader import VersionLoader
from shared.registry.active_model import ActiveModel
from shared.registry.champion_follower import ChampionFollower, Load, P
from shared.registry.layout import AUTOMOBILE, PRICE
from shared.registry.store import read_from_lake, read_shipped
from shared.service.errors import ModelUnusable, NeedsAttention, SettingsError
from shared.service.logs import log
from shared.service.metrics import health_routes, serve_app
from shared.service.run import run_service
from shared.service.settings import variable_of
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection
from shared.streams.event_hubs.hub import Hub

# With the SDK's own back-off a wrong key or a missing hub is reported only after 13 s.
_RETRIES: dict[str, Any] = {"retry_backoff_factor": 0.1}
_LOOPBACK = "127.0.0.1"
_Follower = ChampionFollower[Any] | HintWriter


async def serve(settings: ScorerSettings, stop: asyncio.Event) -> int | None:
    """Score the stream and serve prices until `stop` is set, then drain.

    Raises SettingsError if neither stream nor HTTP is on, or if settings that these need are missing.
    """
    if not (settings.stream or settings.http):
        raise SettingsError("neither stream nor HTTP is on: there is nothing to do")
    _check_settings(settings)
    async with AsyncExitStack() as stack:
        lake = await _open_lake(settings, stack)
        served = await _load_first(lake, PRICE, Pricer.from_files, settings.version)
        followers: list[_Follower] = []
        if lake is not None and settings.version is None:
            followers.append(_follow(settings, lake, served, Pricer.from_files))
        stream = await _open_stream(settings, served, VersionLoader(lake), stack) if settings.stream else None
        if stream is not None:
            followers.append(HintWriter(stream, settings.checkpoint_interval_s))
        if settings.http:
            automobile = await _load_first(lake, AUTOMOBILE, AutomobilePricer.from_files, None)
            if lake is not None:
                followers.append(_follow(settings, lake, automobile, AutomobilePricer.from_files))
            app = make_app(settings, served, partial(_is_ready, stop, stream), stop.is_set, automobile)
            port = await stack.enter_async_context(serve_http(http_settings(settings), app))
            log.info("http_listening", host=settings.host, port=port)
        if settings.metrics_port is not None:
            await stack.enter_async_context(_serve_metrics(settings, partial(_is_ready, stop, stream)))
        await _run_beside(stream.run(stop) if stream else stop.wait(), followers, stop)
    return None


def _check_settings(settings: ScorerSettings) -> None:
    """Check the settings first, so that the lake or a slow model cannot delay an error.

    Raises SettingsError if a setting is missing.
    """
    if settings.stream:
        HubConnection.from_settings(settings)
        CheckpointConnection.from_settings(settings)
    if settings.http:
        read_keys(http_settings(settings))


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run the scorer and return its exit code."""
    return run_service(ScorerSettings, overrides, partial(_run, overrides or {}))


async def _run(overrides: Mapping[str, Any], settings: ScorerSettings, stop: asyncio.Event) -> int | None:
    """Score in this process, or in as many worker processes as the settings ask for."""
    if settings.workers == 1:
        return await serve(settings, stop)
    await score_by_workers(overrides, settings, stop)
    return None


@asynccontextmanager
async def _serve_metrics(settings: ScorerSettings, is_ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve health and metrics on a separate port within the block.

    A worker process serves them on the loopback address only, for its parent process.
    """
    app = web.Application()
    app.add_routes(health_routes(is_ready))
    host = _LOOPBACK if settings.shares_port else settings.host
    setting = variable_of(ScorerSettings, "metrics_port")
    async with serve_app(app, host, settings.metrics_port or 0, setting) as port:
        log.info("metrics_listening", host=host, port=port)
        yield


def _is_ready(stop: asyncio.Event, stream: StreamScorer | None) -> bool:
    return not stop.is_set() and (stream is None or stream.is_reading)


async def _open_lake(settings: ScorerSettings, stack: AsyncExitStack) -> Lake | None:
    if not settings.storage.get_secret_value():
        return None
    return await stack.enter_async_context(open_lake(LakeConnection.from_settings(settings)))


async def _load_first(lake: Lake | None, name: str, load: Load[P], version: str | None) -> ActiveModel[P]:
    """Load the model version with which to start. Raises NeedsAttention if the model cannot be used."""
    try:
        files = None if lake is None else await read_from_lake(lake, version, name)
        served = ActiveModel(load(read_shipped(version, name) if files is None else files))
    except ModelUnusable as error:
        raise NeedsAttention(f"the {name} model cannot be used: {error}") from error
    log.info("model_loaded", model=name, version=served.pricer.manifest.version)
    return served


def _follow(
    settings: ScorerSettings, lake: Lake, served: ActiveModel[P], load: Load[P]
) -> ChampionFollower[P]:
    name = served.pricer.manifest.name
    return ChampionFollower(lake, name, served, load, settings.model_interval_s)


async def _run_beside(work: Awaitable[object], followers: list[_Follower], stop: asyncio.Event) -> None:
    """Run `work` and the followers until one of them ends, then set `stop` and wait for `work`.

    Raises the error of `work` if `work` fails, or else the error of a follower if one failed.
    """
    working = asyncio.ensure_future(work)
    watching = [asyncio.create_task(one.run()) for one in followers]
    try:
        await asyncio.wait([working, *watching], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await working
    finally:
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


async def _open_stream(
    settings: ScorerSettings, served: ActivePriceModel, former: VersionLoader, stack: AsyncExitStack
) -> StreamScorer:
    connection = HubConnection.from_settings(settings)
    store = checkpoint_store(CheckpointConnection.from_settings(settings))
    await stack.enter_async_context(store)
    output = consumer_client(connection, settings.predictions_hub, "$Default", **_RETRIES)
    await stack.enter_async_context(output)
    source = consumer_client(connection, settings.telemetry_hub, GROUP, store, **_RETRIES)
    await stack.enter_async_context(source)
    hubs = Hub(source, GROUP), Hub(output, "$Default")
    return StreamScorer(settings, connection, Models(served, former), *hubs, store)


if __name__ == "__main__":
    sys.exit(main())
