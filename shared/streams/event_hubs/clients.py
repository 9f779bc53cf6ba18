"""Clients of the unmodified azure-eventhub SDK, and what is read off its events."""

import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import certifi
from azure.eventhub import EventData, TransportType
from azure.eventhub.aio import (
    CheckpointStore,
    EventHubConsumerClient,
    EventHubProducerClient,
    PartitionContext,
)
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.service.credentials import process_credential
from shared.service.errors import SettingsError
from shared.streams.event import Event, content_type_in
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.receive_budget import ByteBudget, bound

PREFETCH = 3_000


class SingleSendProducerClient(EventHubProducerClient):
    """A producer that sends what it is given once.

    `retry_total=0` alone does not do it: after any EventHubError, `send_batch` restarts the partition's
    producer and sends the batch again, a lost answer included [azure-eventhub 5.15.1, `send_batch`]. So a
    restart of a producer that is there raises the error it was meant to hide.
    """

    async def _start_producer(self, partition_id: str, send_timeout: float | None) -> None:
        failure = sys.exception()
        if self._producers.get(partition_id) is not None and failure is not None:
            raise failure
        await super()._start_producer(partition_id, send_timeout)

    async def open_partition(self, partition_id: str) -> None:
        """Open the link to a partition now: at the first send, a second of events would wait for it."""
        await self._start_producer(partition_id, None)
        producer: Any = self._producers[partition_id]
        await producer._open_with_retry()  # noqa: SLF001 - the SDK opens a link only by sending
        # `create_batch` would open another link, to no partition, only to learn this.
        size_of: Any = self._amqp_transport.get_remote_max_message_size
        self._max_message_size_on_link = size_of(producer._handler)  # noqa: SLF001


class LinkCountingConsumerClient(EventHubConsumerClient):
    """A consumer that tells how often it has begun to open each partition's link.

    The SDK opens a link anew by itself, without a word [azure-eventhub 5.15.1, `_do_retryable_operation`];
    what is behind it then may be another hub of the same name.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.links_opened: Counter[str] = Counter()
        self.link_bytes = 0

    async def receive_events(
        self,
        on_events: Callable[[PartitionContext, list[Event]], Awaitable[None]],
        *,
        link_bytes: int,
        **options: Any,
    ) -> None:
        """`receive_batch` that hands over `Event`s; a link keeps at most `link_bytes` of them in memory."""
        self.link_bytes = link_bytes
        receive: Any = self.receive_batch
        await receive(on_events, **options)

    def _create_consumer(
        self, consumer_group: str, partition_id: str, *arguments: Any, **options: Any
    ) -> Any:
        consumer: Any = super()._create_consumer(consumer_group, partition_id, *arguments, **options)
        if self.link_bytes:
            bound(consumer, ByteBudget(self.link_bytes))
        open_link = consumer._create_handler  # noqa: SLF001 - the SDK calls it for each opening

        def counted(auth: Any) -> None:
            self.links_opened[partition_id] += 1
            open_link(auth)

        consumer._create_handler = counted  # noqa: SLF001
        return consumer


@cache
def _tls() -> ssl.SSLContext:
    """What the SDK would make for every connection anew: 20 ms of the loop each."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.load_default_certs()  # and those of the machine, or of SSL_CERT_FILE: where storage looks too
    return context


def _is_connection_string(address: str) -> bool:
    return "Endpoint=" in address


def _host_of(namespace: str, options: dict[str, Any]) -> str:
    """The namespace's host; a port after it, as a local one has, goes into `options`.

    By itself the SDK connects to 5671, whatever port is named.
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
    checkpoint_store: CheckpointStore | None = None,
    **options: Any,
) -> LinkCountingConsumerClient:
    """A consumer of `hub` in consumer group `group`; with a store it balances partitions among processes."""
    options["ssl_context"] = _tls()
    if checkpoint_store is not None:
        options["checkpoint_store"] = checkpoint_store
        options["load_balancing_interval"] = connection.balancing_interval_s
        options["partition_ownership_expiration_interval"] = connection.ownership_expiry_s
    if _is_connection_string(connection.address):
        client = LinkCountingConsumerClient.from_connection_string(
            connection.address, group, eventhub_name=hub, **options
        )
        return cast("LinkCountingConsumerClient", client)
    host = _host_of(connection.address, options)
    return LinkCountingConsumerClient(host, hub, group, credential=process_credential(), **options)


def producer_client(connection: HubConnection, hub: str) -> SingleSendProducerClient:
    """A producer to `hub` that never resends by itself; make a new one after a failure."""
    options: Any = {"retry_total": 0, "ssl_context": _tls()}
    if _is_connection_string(connection.address):
        client = SingleSendProducerClient.from_connection_string(
            connection.address, eventhub_name=hub, **options
        )
        return cast("SingleSendProducerClient", client)
    host = _host_of(connection.address, options)
    return SingleSendProducerClient(host, hub, credential=process_credential(), **options)


def body_of(event: EventData) -> bytes:
    """The event's body as bytes; an AMQP value or sequence body has none of ours in it and reads as empty."""
    if event.body_type is not AmqpMessageBodyType.DATA:
        return b""
    sections: Any = event.body
    return sections if isinstance(sections, bytes) else b"".join(sections)


def content_type_of(event: EventData) -> str | None:
    """A received event's content type; `EventData.content_type` raises where it is no UTF-8."""
    properties: Any = event.raw_amqp_message.properties
    return None if properties is None else content_type_in(properties.content_type)


def enqueued_us(event: EventData) -> int:
    """Enqueued time in microseconds since the epoch."""
    at = event.enqueued_time
    if at is None:
        raise ValueError("an event that was not received has no enqueued time")
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)


def sequence_of(event: EventData) -> int:
    """The sequence number of a received event."""
    if event.sequence_number is None:
        raise ValueError("an event that was not received has no sequence number")
    return int(event.sequence_number)


async def hub_created_at(client: EventHubConsumerClient | EventHubProducerClient) -> datetime:
    """The hub's identity: a re-created hub has another."""
    created: datetime = (await client.get_eventhub_properties())["created_at"]
    return created if created.tzinfo else created.replace(tzinfo=UTC)
