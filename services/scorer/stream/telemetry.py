"""The stream from start to end: check the hubs, receive until stopped, let every partition finish."""

import asyncio
from contextlib import suppress
from typing import Any

from azure.core.exceptions import AzureError
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.exceptions import AuthenticationError, EventHubError, OwnershipLostError

from services.scorer.settings import ScorerSettings
from services.scorer.stream.partitions import Hubs, OwnedPartitions
from shared.pricing.pricer import ActivePriceModel
from shared.pricing.version_cache import VersionCache
from shared.service.errors import FleetpriceError, GapUnexplained, SettingsError, SinkUnavailable
from shared.service.logs import log
from shared.service.tasks import cancel_until_done
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.clients import LinkCountingConsumerClient, hub_created_at
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.low_latency_receiver import receive_promptly
from shared.streams.event_hubs.shutdown import RELEASE_GRACE_S, end_receiving

GROUP = "scorer"
# What closes one partition, or a round of balancing: both are tried again at the next one.
_PASSING = (GapUnexplained, SinkUnavailable, EventHubError, OwnershipLostError, AzureError, OSError)
# An empty call tells a partition that could not be opened to be claimed anew; events never wait for it.
_MAX_WAIT_S = 1.0
_IDENTITY_INTERVAL_S = 10.0
_CLOSE_S, _RELEASE_S = 6.0, 0.5


class TelemetryStream:
    """Scores what this process's share of the telemetry hub's partitions brings."""

    def __init__(
        self,
        settings: ScorerSettings,
        connection: HubConnection,
        served: ActivePriceModel,
        former: VersionCache,
        source: LinkCountingConsumerClient,
        output: EventHubConsumerClient,
        store: ResumingCheckpointStore,
    ) -> None:
        """`source` must have been made with `store`."""
        self._settings = settings
        self._connection = connection
        self._served = served
        self._former = former
        self._source = source
        if settings.low_latency:
            receive_promptly(source)
        self._output = output
        self._store = store
        self._partitions: OwnedPartitions | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_reading(self) -> bool:
        """Whether at least one partition is being read."""
        return bool(self._partitions)

    async def run(self, stop: asyncio.Event) -> None:
        """Returns once `stop` is set and what was taken in is published and its partitions are released.

        Raises NeedsAttention for hubs that do not fit, SinkUnavailable where the predictions hub is given up.
        """
        hubs = await self._checked_hubs()
        partitions = OwnedPartitions(
            self._settings, self._connection, hubs, self._store, self._served, self._former, self._fail
        )
        self._partitions = partitions
        self._store.resume = partitions.resume_points
        receiving = asyncio.create_task(self._receive(partitions))
        chores = [
            asyncio.create_task(self._follow(partitions)),
            asyncio.create_task(_watch_identity(hubs)),
        ]
        stopped = asyncio.create_task(stop.wait())
        try:
            awaited: list[asyncio.Future[Any]] = [self._failed, receiving, stopped, *chores]
            ended, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            for one in ended:
                one.result()
        finally:
            await asyncio.gather(
                self._drain(receiving, partitions), *map(cancel_until_done, (stopped, *chores))
            )

    async def _checked_hubs(self) -> Hubs:
        settings = self._settings
        try:
            created_at, source, output = await asyncio.gather(
                hub_created_at(self._source),
                self._source.get_partition_ids(),
                self._output.get_partition_ids(),
            )
        except EventHubError as error:
            raise refusal_of(error, settings) from error
        if set(source) != set(output):
            raise SettingsError(
                f"hub {settings.predictions_hub} has {len(output)} partitions, {settings.telemetry_hub} "
                f"{len(source)}: predictions need as many (FLEETPRICE_PREDICTIONS_HUB names another hub)"
            )
        log.info(
            "retention_not_checked",
            hub=settings.predictions_hub,
            reason="Event Hubs tells no reader its retention: keep it no shorter than the telemetry hub's",
        )
        return Hubs(self._source, self._output, created_at)

    async def _receive(self, partitions: OwnedPartitions) -> None:
        await self._source.receive_events(
            partitions.take,
            link_bytes=self._settings.link_bytes,
            max_batch_size=self._settings.max_events,
            max_wait_time=_MAX_WAIT_S,
            on_error=self._on_error,
            on_partition_initialize=partitions.open,
            on_partition_close=partitions.close,
            prefetch=self._settings.prefetch,
            starting_position="-1",
        )

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        """The SDK hands over what a callback raised; whatever is not known to pass ends the process."""
        if isinstance(error, _PASSING):
            partition = None if context is None else int(context.partition_id)
            log.warning("receiving_interrupted", partition=partition, reason=repr(error))
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    async def _follow(self, partitions: OwnedPartitions) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_interval_s)
            await partitions.write_hints()

    async def _drain(self, receiving: asyncio.Task[None], partitions: OwnedPartitions) -> None:
        """Cancelling closes the links; each partition then ends its send in flight and is released.

        A cancellation can get lost, so that all of it is done again where it did not come to its end.
        """
        receiving.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await partitions.closed()
        with suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                await self._store.released()
        await end_receiving(self._source, receiving, self._store, RELEASE_GRACE_S)
        if self._failed.done() and not self._failed.cancelled():
            self._failed.exception()  # raised by `run`, or superseded by what it raises


def refusal_of(error: EventHubError, settings: ScorerSettings) -> FleetpriceError:
    """What a person is told where the hubs cannot be looked at."""
    reason = error.message.partition("\n")[0]
    if isinstance(error, AuthenticationError):
        return SettingsError(f"FLEETPRICE_EVENT_HUBS: the namespace refused our credentials: {reason}")
    if "not-found" in str(error.error):
        return SettingsError(
            f"the namespace has no hub {settings.telemetry_hub} or no hub {settings.predictions_hub}: "
            "create them, or name others in FLEETPRICE_TELEMETRY_HUB and FLEETPRICE_PREDICTIONS_HUB"
        )
    return SinkUnavailable(f"Event Hubs cannot be reached: {reason}")


async def _watch_identity(hubs: Hubs) -> None:
    """The SDK reconnects by itself and would read on in a re-created hub without a word."""
    while True:
        await asyncio.sleep(_IDENTITY_INTERVAL_S)
        with suppress(EventHubError, OSError):
            await hubs.check_identity()
