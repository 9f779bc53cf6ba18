"""Ingest: streams into the lake's raw zone, exactly once."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from services.ingest.checkpoints import CheckpointHint
from services.ingest.malloc_trim import giving_memory_back
from services.ingest.manifest.publisher import Manifest, refuse_missing, running_manifest
from services.ingest.memory_budget import refuse_idle_workers
from services.ingest.settings import IngestSettings
from services.ingest.stream import StreamIngest
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.service.metrics import health_routes, serve_app
from shared.service.processes.workers import Workers, run_workers
from shared.service.run import run_service
from shared.service.settings import environment_of, variable_of
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection

log = structlog.get_logger()

# The SDK's default of 120 s leaves a link closed long after its hub is back.
_RETRY_BACKOFF_MAX_S = 2.0
# After the last commit a worker still gives back its partitions and closes its links.
_RELEASE_GRACE_S = 7.0


async def serve(settings: IngestSettings, stop: asyncio.Event) -> None:
    """Land every stream that the settings name until `stop`; drains before it returns."""
    connection = HubConnection.from_settings(settings)
    async with AsyncExitStack() as stack:
        lake = await stack.enter_async_context(open_lake(LakeConnection.from_settings(settings)))
        streams = [
            await _open_stream(stack, settings, connection, stream, hub, lake)
            for stream, hub in settings.hubs().items()
        ]
        app = web.Application()
        app.add_routes(health_routes(lambda: all(stream.is_ready for stream in streams)))
        setting = variable_of(IngestSettings, "metrics_port")
        port = await stack.enter_async_context(serve_app(app, settings.host, settings.metrics_port, setting))
        log.info("ingest_started", streams=[stream.stream for stream in streams], metrics_port=port)
        gc.freeze()  # what lives as long as the process need not be looked at again
        async with _manifests(settings, connection, streams, lake, stop):
            await _run_all(streams, stop)


async def _open_stream(
    stack: AsyncExitStack,
    settings: IngestSettings,
    connection: HubConnection,
    stream: str,
    hub: str,
    lake: Lake,
) -> StreamIngest:
    store = checkpoint_store(CheckpointConnection.from_settings(settings))
    await stack.enter_async_context(store)
    client = consumer_client(
        connection, hub, settings.consumer_group, store, retry_backoff_max=_RETRY_BACKOFF_MAX_S
    )
    await stack.enter_async_context(client)
    hint = CheckpointHint(store, hub, settings.consumer_group)
    ingest = StreamIngest(settings, stream, lake, client, hint)
    store.resume = ingest.resume
    return ingest


@asynccontextmanager
async def _manifests(
    settings: IngestSettings,
    connection: HubConnection,
    streams: Sequence[StreamIngest],
    lake: Lake,
    stop: asyncio.Event,
) -> AsyncIterator[None]:
    """Tell of committed files, where a hub for that is named; one that does not exist is refused."""
    async with AsyncExitStack() as stack:
        if settings.manifest_hub:
            await refuse_missing(connection, settings.manifest_hub)
            for stream in streams:
                source = settings.hubs()[stream.stream]
                manifest = Manifest(connection, settings.manifest_hub, source, lake, stream.heads)
                await stack.enter_async_context(running_manifest(manifest, stop))
        yield


async def _run_all(streams: Sequence[StreamIngest], stop: asyncio.Event) -> None:
    """One stream that ends for a reason of its own drains the others too."""
    running = [asyncio.create_task(stream.run(stop)) for stream in streams]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.wait(running)
    for one in running:
        one.result()


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run until SIGTERM; the exit code."""
    return run_service(IngestSettings, overrides, partial(_run, overrides or {}))


async def _run(overrides: Mapping[str, Any], settings: IngestSettings, stop: asyncio.Event) -> None:
    """Land in this process, or in as many as the settings say."""
    if settings.workers == 1:
        async with giving_memory_back():
            await serve(settings, stop)
        return
    await refuse_idle_workers(settings)
    own = {"workers": 1, "rows_memory_bytes": settings.rows_memory_bytes_of_a_worker}
    given = environment_of(IngestSettings, {**overrides, **own})
    port_variable = variable_of(IngestSettings, "metrics_port")
    drain_s = settings.drain_timeout_s + _RELEASE_GRACE_S
    workers = Workers(settings.workers, "services.ingest", given, port_variable, drain_s)
    await run_workers(workers, settings.host, settings.metrics_port, port_variable, stop)


if __name__ == "__main__":
    sys.exit(main())
