"""`--workers N`: scorer processes that share the partitions and the HTTP port."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.scorer.settings import ScorerSettings
from services.scorer.stream.stream import GROUP
from shared.service.errors import Missing, SettingsError
from shared.service.processes.free_ports import free_port
from shared.service.processes.workers import Workers, run_workers
from shared.service.settings import environment_of, variable_of
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.hub import Hub

# The time after HTTP's last answer in which a worker finishes its sends and gives back its partitions.
_RELEASE_GRACE_S = 15.0


async def score_by_workers(
    overrides: Mapping[str, Any], settings: ScorerSettings, stop: asyncio.Event
) -> None:
    """Run the worker processes until `stop` is set.

    All workers listen on one HTTP port, and the kernel distributes connections among them. Raises
    SettingsError if there are more workers than partitions.
    """
    if settings.stream:
        await _check_partitions(settings)
    own: dict[str, Any] = {"workers": 1, "shares_port": True}
    if settings.http:
        own["http_port"] = settings.http_port or free_port()
    given = environment_of(ScorerSettings, {**overrides, **own})
    port_variable = variable_of(ScorerSettings, "metrics_port")
    drain_s = settings.http_drain_s + _RELEASE_GRACE_S
    workers = Workers(settings.workers, "services.scorer", given, port_variable, drain_s)
    await run_workers(workers, settings.host, settings.metrics_port or 0, port_variable, stop)


async def _check_partitions(settings: ScorerSettings) -> None:
    connection = HubConnection.from_settings(settings)
    client = consumer_client(connection, settings.telemetry_hub, GROUP, retry_total=0)
    async with client:
        try:
            partitions = await Hub(client, GROUP).count_partitions()
        except Missing as error:
            raise SettingsError(f"{error}, or name another in FLEETPRICE_TELEMETRY_HUB") from error
    if settings.workers > partitions:
        raise SettingsError(
            f"FLEETPRICE_SCORER_WORKERS: hub {settings.telemetry_hub} has {partitions} partitions, and "
            f"{settings.workers} workers would share them: some would have nothing to do"
        )
