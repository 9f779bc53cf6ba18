"""The process of ingest: it lands streams in the lake's raw zone, exactly once."""

import asyncio
import gc
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from services.ingest.malloc_trim import trim_memory
from services.ingest.manifest.publisher import Manifest, refuse_missing, running_manifest
from services.ingest.memory_budget import worker_rows_bytes
from services.ingest.settings import IngestSettings
from services.ingest.source_streams import SourceStream, hubs_by_stream, source_streams
from services.ingest.stream import StreamIngest
from shared.lake.client import Lake, LakeConnection, open_lake
from shared.service.errors import Refused, SettingsError, SourceUnavailable
from shared.service.metrics import health_routes, serve_app
from shared.service.processes.workers import Workers, run_workers
from shared.service.run import run_service
from shared.service.settings import environment_of, variable_of
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection
from shared.streams.event_hubs.hub import Hub

log = structlog.get_logger()

# The SDK's default of 120 s leaves a link closed long after its hub is back.
_RETRY_BACKOFF_MAX_S = 2.0
# The time after the last commit in which a worker gives back its partitions and closes its links.
_RELEASE_GRACE_S = 7.0


async def serve(settings: IngestSettings, stop: asyncio.Event) -> None:
    """Land all streams in the settings until `stop`; drain before returning."""
    connection = HubConnection.from_settings(settings)
    sources = source_streams(settings)
    async with AsyncExitStack() as stack:
        lake = await stack.enter_async_context(open_lake(LakeConnection.from_settings(settings)))
        streams = [await _open_stream(stack, settings, connection, source, lake) for source in sources]
        app = web.Application()
        app.add_routes(health_routes(lambda: all(stream.is_ready for stream in streams)))
        setting = variable_of(IngestSettings, "metrics_port")
        port = await stack.enter_async_context(serve_app(app, settings.host, settings.metrics_port, setting))
        log.info("ingest_started", streams=[source.name for source in sources], metrics_port=port)
        gc.freeze()  # these objects live as long as the process: the collector need not walk them
        if settings.manifest_hub:
            await refuse_missing(connection, settings.manifest_hub)
            for source, stream in zip(sources, streams, strict=True):
                manifest = Manifest(connection, settings.manifest_hub, source.hub, lake, stream.heads)
                await stack.enter_async_context(running_manifest(manifest, stop))
        await _run_all(streams, stop)


async def _open_stream(
    stack: AsyncExitStack,
    settings: IngestSettings,
    connection: HubConnection,
    source: SourceStream,
    lake: Lake,
) -> StreamIngest:
    store = checkpoint_store(CheckpointConnection.from_settings(settings))
    await stack.enter_async_context(store)
    group = settings.consumer_group
    client = consumer_client(connection, source.hub, group, store, retry_backoff_max=_RETRY_BACKOFF_MAX_S)
    await stack.enter_async_context(client)
    return StreamIngest(settings, source, lake, Hub(client, group), store)


async def _run_all(streams: Sequence[StreamIngest], stop: asyncio.Event) -> None:
    """Run all streams; if one ends by itself, drain the others too and end."""
    running = [asyncio.create_task(stream.run(stop)) for stream in streams]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.wait(running)
    for one in running:
        one.result()


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Run ingest until SIGTERM; return the exit code."""
    return run_service(IngestSettings, overrides, partial(_run, overrides or {}))


async def _run(overrides: Mapping[str, Any], settings: IngestSettings, stop: asyncio.Event) -> None:
    """Land the streams in this process, or in as many worker processes as the settings ask for."""
    if settings.workers == 1:
        async with trim_memory():
            await serve(settings, stop)
        return
    await _refuse_idle_workers(settings)
    own = {"workers": 1, "rows_memory_bytes": worker_rows_bytes(settings)}
    given = environment_of(IngestSettings, {**overrides, **own})
    port_variable = variable_of(IngestSettings, "metrics_port")
    drain_s = settings.drain_timeout_s + _RELEASE_GRACE_S
    workers = Workers(settings.workers, "services.ingest", given, port_variable, drain_s)
    await run_workers(workers, settings.host, settings.metrics_port, port_variable, stop)


async def _refuse_idle_workers(settings: IngestSettings) -> None:
    """Check the number of workers.

    Raises SettingsError if a hub has fewer partitions than there are workers.
    """
    connection, group = HubConnection.from_settings(settings), settings.consumer_group
    for hub in hubs_by_stream(settings).values():
        client = consumer_client(connection, hub, group)
        async with client:
            try:
                partitions = await Hub(client, group).count_partitions()
            except (SourceUnavailable, Refused) as error:
                log.info("partitions_unknown", hub=hub, reason=str(error))
                continue
        if partitions < settings.workers:
            raise SettingsError(
                f"FLEETPRICE_INGEST_WORKERS: hub {hub} has {partitions} partitions, so {settings.workers} "
                "workers would leave some without any: name no more workers than partitions"
            )


if __name__ == "__main__":
    sys.exit(main())
