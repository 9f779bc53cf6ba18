"""`python -m services.simulator`: a fleet that sends telemetry to a hub and records what it sent."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aiohttp import web
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

from services.simulator.clock import Clock, instant
from services.simulator.encoder import EventFormat
from services.simulator.publisher import PartitionOutput, Publisher
from services.simulator.record.folder import RecordFolder
from services.simulator.record.recovery import Recovery
from services.simulator.record.runs import Run, read_runs, refuse_other_hub, remaining_s, same_run, write_runs
from services.simulator.schedule import Packing, Schedule
from services.simulator.settings import SimulatorSettings
from services.simulator.vehicles.fleet import draw_fleet, vehicle_id
from services.simulator.vehicles.market import shipped_market
from services.simulator.vehicles.telemetry import Telemetry
from shared.service.errors import FleetpriceError, SettingsError, SinkUnavailable
from shared.service.logs import log
from shared.service.metrics import health_routes, serve_app
from shared.service.run import run_service
from shared.streams.event_hubs.clients import body_of, consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.sender import PartitionSender
from shared.streams.partition_key import partition_of

_US_PER_MS = 1_000
_LONGEST_STOP_S = 5.0  # looking for a lost answer takes up to four


async def serve(settings: SimulatorSettings, stop: asyncio.Event) -> None:
    """Send until stopped, or for `seconds`; what an earlier life left open is resolved first."""
    is_sending = asyncio.Event()
    app = web.Application()
    app.add_routes(health_routes(is_sending.is_set))
    async with (
        serve_app(app, settings.host, settings.metrics_port, "FLEETPRICE_SIMULATOR_METRICS_PORT"),
        _ended_soon_after(stop),
        AsyncExitStack() as stack,
    ):
        folder = stack.enter_context(RecordFolder(settings.data))
        runs = read_runs(folder.runs_path)
        reader = consumer_client(HubConnection.from_settings(settings), settings.telemetry_hub, "$Default")
        stack.push_async_callback(reader.close)
        hub_created_at, partition_count = await _describe_hub(reader, settings.telemetry_hub)
        refuse_other_hub(runs, hub_created_at, folder.path)
        outlets = await _open_outlets(settings, folder, partition_count, stack)
        telemetry_of = cache(_telemetry)
        form = EventFormat(settings.pack, settings.pack_format)
        await _all(map(Recovery(reader, form, telemetry_of).resolve, outlets))
        # The SDK takes a second to close what has received; the fleet does not wait for it.
        closing = asyncio.create_task(reader.close())
        stack.callback(closing.cancel)
        run = same_run(runs, settings.run_id)
        seconds = remaining_s(settings.seconds, run, datetime.now(UTC))
        telemetry = telemetry_of(settings.seed, settings.vehicles)
        publishers = _publishers(settings, outlets, telemetry, form, seconds)
        clock = Clock()
        if run is None:
            write_runs(folder.runs_path, [*runs, _new_run(settings, clock, hub_created_at)])
        is_sending.set()
        log.info("fleet_started", vehicles=settings.vehicles, rate_hz=settings.rate_hz, seconds=seconds)
        await _all(publisher.run(clock, stop) for publisher in publishers)
        log.info("fleet_stopped", readings=sum(publisher.sent for publisher in publishers))


@asynccontextmanager
async def _ended_soon_after(stop: asyncio.Event) -> AsyncIterator[None]:
    """Bound what is awaited after a stop: a hub that does not answer is left, its sends unresolved."""
    try:
        async with asyncio.timeout(None) as limit:
            watcher = asyncio.create_task(_start_limit(stop, limit))
            try:
                yield
            finally:
                watcher.cancel()
    except TimeoutError:
        if not limit.expired():
            raise
        log.warning("sends_abandoned", after_s=_LONGEST_STOP_S)


async def _start_limit(stop: asyncio.Event, limit: asyncio.Timeout) -> None:
    await stop.wait()
    limit.reschedule(asyncio.get_running_loop().time() + _LONGEST_STOP_S)


async def _describe_hub(reader: EventHubConsumerClient, hub: str) -> tuple[datetime, int]:
    """When the hub was created, and its partitions."""
    try:
        properties = await reader.get_eventhub_properties()
    except AuthenticationError as error:
        raise SettingsError(f"hub {hub} refused our credentials: {error}") from error
    except (EventHubError, OSError) as error:
        raise SinkUnavailable(f"hub {hub} does not answer: {error}") from error
    created: datetime = properties["created_at"]
    return created.replace(tzinfo=created.tzinfo or UTC), len(properties["partition_ids"])


async def _open_outlets(
    settings: SimulatorSettings, folder: RecordFolder, partition_count: int, stack: AsyncExitStack
) -> list[PartitionOutput]:
    outlets = []
    connection = HubConnection.from_settings(settings)
    for partition in range(partition_count):
        sender = PartitionSender(connection, settings.telemetry_hub, str(partition), _identity)
        outlets.append(PartitionOutput(partition, sender, *folder.records(partition)))
    await asyncio.gather(*(stack.enter_async_context(outlet.sender) for outlet in outlets))
    return outlets


def _identity(event: EventData) -> tuple[str | None, bytes]:
    """A reading's body is its own alone; a bad one has an id."""
    return event.message_id, body_of(event)


def _telemetry(seed: int, size: int) -> Telemetry:
    return Telemetry.of(draw_fleet(seed, size, shipped_market()))


def _new_run(settings: SimulatorSettings, clock: Clock, hub_created_at: datetime) -> Run:
    return Run(
        run_id=settings.run_id,
        seed=settings.seed,
        vehicles=settings.vehicles,
        rate_hz=settings.rate_hz,
        pack=settings.pack,
        started_at=instant(clock.anchor_us),
        hub_created_at=hub_created_at,
    )


def _publishers(
    settings: SimulatorSettings,
    outlets: Sequence[PartitionOutput],
    telemetry: Telemetry,
    form: EventFormat,
    seconds: float | None,
) -> list[Publisher]:
    """One for each partition that has vehicles; numbering goes on from the record."""
    last_reading_nos: dict[int, int] = {}
    for outlet in outlets:
        for vehicle, reading_no in outlet.record.last_reading_nos.get(settings.seed, {}).items():
            last_reading_nos[vehicle] = max(reading_no, last_reading_nos.get(vehicle, 0))
    tick_us = round(settings.tick_ms * _US_PER_MS)
    # What has not lingered long enough at one tick must not have done so too long at the next.
    packing = Packing(settings.pack, max(0, round(settings.linger_ms * _US_PER_MS) - tick_us))
    publishers = []
    for outlet, vehicles in zip(outlets, _vehicles_of_partitions(settings, len(outlets)), strict=True):
        if not vehicles:
            continue
        schedule = Schedule.of(
            vehicles,
            [1 + last_reading_nos.get(vehicle, 0) for vehicle in vehicles],
            fleet_size=settings.vehicles,
            rate_hz=settings.rate_hz,
            seconds=seconds,
        )
        publishers.append(
            Publisher(
                outlet=outlet,
                schedule=schedule,
                telemetry=telemetry,
                form=form,
                packing=packing,
                tick_us=tick_us,
                bad_share=settings.bad_share,
            )
        )
    return publishers


def _vehicles_of_partitions(settings: SimulatorSettings, partition_count: int) -> list[list[int]]:
    vehicles: list[list[int]] = [[] for _ in range(partition_count)]
    for index in range(settings.vehicles):
        vehicles[partition_of(vehicle_id(settings.seed, index), partition_count)].append(index)
    return vehicles


async def _all(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """All partitions at once; the first that fails ends the others, whose sends stay unresolved."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as failed:
        known, bugs = failed.split(FleetpriceError)
        if known is None or bugs is not None:
            raise
        raise known.exceptions[0] from failed


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Exit code of `fleetprice simulate`."""
    return run_service(SimulatorSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
