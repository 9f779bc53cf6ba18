"""Clients of Event Hubs, built on the unmodified azure-eventhub SDK."""

import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, cast
from urllib.parse import urlsplit

import certifi
from azure.eventhub import TransportType
from azure.eventhub.aio import (
    EventHubConsumerClient,
    EventHubProducerClient,
    PartitionContext,
)

from shared.service.credentials import process_credential
from shared.service.errors import SettingsError
from shared.streams.event import Event
from shared.streams.event_hubs.checkpoint_store import ResumingCheckpointStore
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.receive_budget import ByteBudget, limit_bytes
from shared.streams.event_hubs.undecodable import guard_decoding

PREFETCH = 3_000


class SingleSendProducerClient(EventHubProducerClient):
    """A producer that sends each batch once.

    `retry_total=0` is not enough: after any EventHubError, even a lost answer, `send_batch` restarts the
    partition's producer and sends the batch again [azure-eventhub 5.15.1, `send_batch`]. So in this class,
    restarting an existing producer raises the error that caused the restart.
    """

    async def _start_producer(self, partition_id: str, send_timeout: float | None) -> None:
        failure = sys.exception()
        if self._producers.get(partition_id) is not None and failure is not None:
            raise failure
        await super()._start_producer(partition_id, send_timeout)

    async def open_partition(self, partition_id: str) -> None:
        """Open the link to a partition now; otherwise the first send would wait a second for the link."""
        await self._start_producer(partition_id, None)
        producer: Any = self._producers[partition_id]
        await producer._open_with_retry()  # noqa: SLF001 - the SDK opens a link only by sending
        # To learn this, `create_batch` would open another link, to no partition.
        size_of: Any = self._amqp_transport.get_remote_max_message_size
        self._max_message_size_on_link = size_of(producer._handler)  # noqa: SLF001


class ConsumerClient(EventHubConsumerClient):
    """A consumer that counts, per partition, how often it begins to open the link.

    The SDK reopens a link silently [azure-eventhub 5.15.1, `_do_retryable_operation`]. The new link may then
    lead to another hub of the same name. Whenever a link is open, its partition's function in `on_link_open`
    is called.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.links_opened: Counter[str] = Counter()
        self.on_link_open: dict[str, Callable[[], object]] = {}
        self.link_bytes = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def receive_events(
        self,
        on_events: Callable[[PartitionContext, list[Event]], Awaitable[None]],
        *,
        link_bytes: int,
        **options: Any,
    ) -> None:
        """Call the SDK's `receive_batch`, but pass `Event`s to `on_events`.

        Each link keeps at most `link_bytes` of events in memory.
        """
        self.link_bytes = link_bytes
        receive: Any = self.receive_batch
        await receive(on_events, **options)

    def _create_consumer(
        self, consumer_group: str, partition_id: str, *arguments: Any, **options: Any
    ) -> Any:
        consumer: Any = super()._create_consumer(consumer_group, partition_id, *arguments, **options)
        if self.link_bytes:
            limit_bytes(consumer, ByteBudget(self.link_bytes))
        guard_decoding(consumer)
        self._observe_links(consumer, partition_id)
        return consumer

    def _observe_links(self, consumer: Any, partition_id: str) -> None:
        # The SDK calls `_open` before each read, and in it `_create_handler` if there is no open link.
        begin, open_link = consumer._create_handler, consumer._open  # noqa: SLF001

        def count_and_begin(auth: Any) -> None:
            self.links_opened[partition_id] += 1
            begin(auth)

        async def open_and_notify() -> None:
            was_open = consumer.running
            await open_link()
            if not was_open and (notify := self.on_link_open.get(partition_id)) is not None:
                notify()

        consumer._create_handler, consumer._open = count_and_begin, open_and_notify  # noqa: SLF001


@cache
def _load_tls_context() -> ssl.SSLContext:
    """Return one TLS context for all connections.

    The SDK would make one for each connection, which blocks the event loop for 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.load_default_certs()  # of the machine, or of SSL_CERT_FILE, as the storage SDK does
    return context


def _is_connection_string(address: str) -> bool:
    return "Endpoint=" in address


def _parse_host(namespace: str, options: dict[str, Any]) -> str:
    """Return the namespace's host. If the address has a port, write the port into `options`.

    The SDK by itself ignores the port and connects to 5671.
    """
    try:
        named = urlsplit(namespace if "://" in namespace else f"//{namespace}")
        host, port = named.hostname, named.port
    except ValueError as error:
        raise SettingsError(f"{namespace} is no Event Hubs namespace: {error}") from error
    if not host:
        raise SettingsError(f"{namespace} is no Event Hubs namespace: it names no host")
    if port is not None:
        options["custom_endpoint_address"] = f"sb://{named.netloc}"
        options["transport_type"] = TransportType.Amqp
    return host


def consumer_client(
    connection: HubConnection,
    hub: str,
    group: str,
    checkpoint_store: ResumingCheckpointStore | None = None,
    **options: Any,
) -> ConsumerClient:
    """Make a consumer of `hub`.

    With a checkpoint store, the consumer shares the partitions with other processes of the group. Raises
    SettingsError if its claims would expire before it renews them.
    """
    options["ssl_context"] = _load_tls_context()
    if checkpoint_store is not None:
        if connection.ownership_expiry_s <= connection.balancing_interval_s:
            raise SettingsError(
                f"FLEETPRICE_OWNERSHIP_EXPIRY_S is {connection.ownership_expiry_s:g}, and claims are renewed "
                f"every {connection.balancing_interval_s:g} s (FLEETPRICE_BALANCING_INTERVAL_S): set it to "
                "three times the interval"
            )
        checkpoint_store.claim_expiry_s = connection.ownership_expiry_s
        options["checkpoint_store"] = checkpoint_store
        options["load_balancing_interval"] = connection.balancing_interval_s
        options["partition_ownership_expiration_interval"] = connection.ownership_expiry_s
    if _is_connection_string(connection.address):
        client = ConsumerClient.from_connection_string(
            connection.address, group, eventhub_name=hub, **options
        )
        return cast("ConsumerClient", client)
    host = _parse_host(connection.address, options)
    return ConsumerClient(host, hub, group, credential=process_credential(), **options)


def producer_client(connection: HubConnection, hub: str) -> SingleSendProducerClient:
    """Make a producer to `hub` that never resends by itself; after a failure, make a new producer."""
    options: Any = {"retry_total": 0, "ssl_context": _load_tls_context()}
    if _is_connection_string(connection.address):
        client = SingleSendProducerClient.from_connection_string(
            connection.address, eventhub_name=hub, **options
        )
        return cast("SingleSendProducerClient", client)
    host = _parse_host(connection.address, options)
    return SingleSendProducerClient(host, hub, credential=process_credential(), **options)


async def read_created_at(client: EventHubConsumerClient | EventHubProducerClient) -> datetime:
    """Return when the hub was created; this time is the hub's identity."""
    created: datetime = (await client.get_eventhub_properties())["created_at"]
    return created if created.tzinfo else created.replace(tzinfo=UTC)
