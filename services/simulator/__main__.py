"""`python -m services.simulator`: simulate a fleet that sends telemetry to a hub, and record what is sent."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aiohttp import web

from services.simulator.clock import Clock, from_epoch_us
from services.simulator.encoder import EventFormat
from services.simulator.publisher import PartitionOutput, Publisher
from services.simulator.record.folder import RecordFolder
from services.simulator.record.recovery import Recovery
from services.simulator.record.runs import Run, find_run, read_runs, refuse_other_hub, remaining_s, write_runs
from services.simulator.schedule import Packing, Schedule
from services.simulator.settings import SimulatorSettings
from shared.service.errors import FleetpriceError
from shared.service.logs import log
from shared.service.metrics import health_routes, serve_app
from shared.service.run import run_service
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.hub import Hub
from shared.streams.event_hubs.messages import EventData, read_body
from shared.streams.event_hubs.sender import PartitionSender
from shared.streams.partition_key import find_partition
from shared.vehicles.fleet import draw_fleet, vehicle_id
from shared.vehicles.market import read_shipped_market
from shared.vehicles.telemetry import Telemetry

_GROUP = "$Default"
_US_PER_MS = 1_000
_MAX_STOP_S = 5.0  # the search for a send whose outcome is unknown takes up to four


async def serve(settings: SimulatorSettings, stop: asyncio.Event) -> None:
    """Resolve the sends that an earlier process left unresolved, then send until `stop` or the run's end."""
    is_sending = asyncio.Event()
    app = web.Application()
    app.add_routes(health_routes(is_sending.is_set))
    async with (
        serve_app(app, settings.host, settings.metrics_port, "FLEETPRICE_SIMULATOR_METRICS_PORT"),
        _limit_stop(stop),
        AsyncExitStack() as stack,
    ):
        folder = stack.enter_context(RecordFolder(settings.data))
        runs = read_runs(folder.runs_path)
        reader = consumer_client(HubConnection.from_settings(settings), settings.telemetry_hub, _GROUP)
        stack.push_async_callback(reader.close)
        hub = await Hub(reader, _GROUP).describe()
        refuse_other_hub(runs, hub.created_at, folder.path)
        outputs = await _open_outputs(settings, folder, hub.partitions, stack)
        make_telemetry = cache(_make_telemetry)
        event_format = EventFormat(settings.pack, settings.pack_format)
        await _run_all(map(Recovery(reader, event_format, make_telemetry).resolve, outputs))
        # The SDK takes a second to close a client that has received; the fleet does not wait for it.
        closing = asyncio.create_task(reader.close())
        stack.callback(closing.cancel)
        run = find_run(runs, settings.run_id)
        seconds = remaining_s(settings.seconds, run, datetime.now(UTC))
        telemetry = make_telemetry(settings.seed, settings.vehicles)
        publishers = _make_publishers(settings, outputs, telemetry, event_format, seconds)
        clock = Clock()
        if run is None:
            write_runs(folder.runs_path, [*runs, _new_run(settings, clock, hub.created_at)])
        is_sending.set()
        log.info("fleet_started", vehicles=settings.vehicles, rate_hz=settings.rate_hz, seconds=seconds)
        await _run_all(publisher.run(clock, stop) for publisher in publishers)
        log.info("fleet_stopped", readings=sum(publisher.sent for publisher in publishers))


@asynccontextmanager
async def _limit_stop(stop: asyncio.Event) -> AsyncIterator[None]:
    """Limit the time that the simulator takes to end after a stop.

    If the hub does not answer in this time, the current sends stay unresolved for the next start.
    """
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
        log.warning("sends_abandoned", after_s=_MAX_STOP_S)


async def _start_limit(stop: asyncio.Event, limit: asyncio.Timeout) -> None:
    await stop.wait()
    limit.reschedule(asyncio.get_running_loop().time() + _MAX_STOP_S)


async def _open_outputs(
    settings: SimulatorSettings, folder: RecordFolder, partition_count: int, stack: AsyncExitStack
) -> list[PartitionOutput]:
    outputs = []
    connection = HubConnection.from_settings(settings)
    for partition in range(partition_count):
        sender = PartitionSender(connection, settings.telemetry_hub, str(partition), _event_identity)
        outputs.append(PartitionOutput(partition, sender, *folder.open_records(partition)))
    await asyncio.gather(*(stack.enter_async_context(output.sender) for output in outputs))
    return outputs


def _event_identity(event: EventData) -> tuple[str | None, bytes]:
    """Return an event's identity: its message id, which only bad events have, and its body."""
    return event.message_id, read_body(event)


def _make_telemetry(seed: int, size: int) -> Telemetry:
    return Telemetry.from_fleet(draw_fleet(seed, size, read_shipped_market()))


def _new_run(settings: SimulatorSettings, clock: Clock, hub_created_at: datetime) -> Run:
    return Run(
        run_id=settings.run_id,
        seed=settings.seed,
        vehicles=settings.vehicles,
        rate_hz=settings.rate_hz,
        pack=settings.pack,
        started_at=from_epoch_us(clock.anchor_us),
        hub_created_at=hub_created_at,
    )


def _make_publishers(
    settings: SimulatorSettings,
    outputs: Sequence[PartitionOutput],
    telemetry: Telemetry,
    event_format: EventFormat,
    seconds: float | None,
) -> list[Publisher]:
    """Make one publisher for each partition that has vehicles.

    The vehicles' reading numbers continue after the last ones in the record.
    """
    last_reading_nos: dict[int, int] = {}
    for output in outputs:
        for vehicle, reading_no in output.record.last_reading_nos.get(settings.seed, {}).items():
            last_reading_nos[vehicle] = max(reading_no, last_reading_nos.get(vehicle, 0))
    tick_us = round(settings.tick_ms * _US_PER_MS)
    # Linger one tick less: what is not ready at one tick must not be late at the next.
    packing = Packing(settings.pack, max(0, round(settings.linger_ms * _US_PER_MS) - tick_us))
    publishers = []
    for output, vehicles in zip(outputs, _assign_vehicles(settings, len(outputs)), strict=True):
        if not vehicles:
            continue
        schedule = Schedule.from_rate(
            vehicles,
            [1 + last_reading_nos.get(vehicle, 0) for vehicle in vehicles],
            fleet_size=settings.vehicles,
            rate_hz=settings.rate_hz,
            seconds=seconds,
        )
        publishers.append(
            Publisher(
                output=output,
                schedule=schedule,
                telemetry=telemetry,
                event_format=event_format,
                packing=packing,
                tick_us=tick_us,
                bad_share=settings.bad_share,
            )
        )
    return publishers


def _assign_vehicles(settings: SimulatorSettings, partition_count: int) -> list[list[int]]:
    vehicles: list[list[int]] = [[] for _ in range(partition_count)]
    for index in range(settings.vehicles):
        vehicles[find_partition(vehicle_id(settings.seed, index), partition_count)].append(index)
    return vehicles


async def _run_all(steps: Iterable[Coroutine[None, None, None]]) -> None:
    """Run the steps of all partitions at the same time.

    The first failure cancels the other steps, whose current sends stay unresolved for the next start.
    """
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
    """Run the simulator; return its exit code."""
    return run_service(SimulatorSettings, overrides, serve)


if __name__ == "__main__":
    sys.exit(main())
