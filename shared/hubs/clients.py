"""Clients of the unmodified azure-eventhub SDK, made from settings, and what is read off its events."""

import ssl
import sys
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import certifi
from azure.eventhub import EventData
from azure.eventhub.aio import CheckpointStore, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.credentials import process_credential
from shared.settings import WorldSettings

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


@cache
def _tls() -> ssl.SSLContext:
    """What the SDK would make for every connection anew, of the same certificates: 20 ms of the loop each."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context


def _is_connection_string(world: str) -> bool:
    return "Endpoint=" in world


def consumer_client(
    settings: WorldSettings,
    hub: str,
    group: str,
    checkpoint_store: CheckpointStore | None = None,
    **options: Any,
) -> EventHubConsumerClient:
    """A consumer of `hub` in consumer group `group`; with a store it balances partitions among processes."""
    world = settings.event_hubs_or_refuse()
    options["ssl_context"] = _tls()
    if checkpoint_store is not None:
        options["checkpoint_store"] = checkpoint_store
        options["load_balancing_interval"] = settings.balancing_interval_s
        options["partition_ownership_expiration_interval"] = settings.ownership_expiry_s
    if _is_connection_string(world):
        return EventHubConsumerClient.from_connection_string(world, group, eventhub_name=hub, **options)
    return EventHubConsumerClient(world, hub, group, credential=process_credential(), **options)


def producer_client(settings: WorldSettings, hub: str) -> SingleSendProducerClient:
    """A producer to `hub` that never resends by itself; make a new one after a failure."""
    world = settings.event_hubs_or_refuse()
    options: Any = {"retry_total": 0, "ssl_context": _tls()}
    if _is_connection_string(world):
        client = SingleSendProducerClient.from_connection_string(world, eventhub_name=hub, **options)
        return cast("SingleSendProducerClient", client)
    return SingleSendProducerClient(world, hub, credential=process_credential(), **options)


def body_of(event: EventData) -> bytes:
    """The event's body as bytes; an AMQP value or sequence body has none of ours in it and reads as empty."""
    if event.body_type is not AmqpMessageBodyType.DATA:
        return b""
    sections: Any = event.body
    return sections if isinstance(sections, bytes) else b"".join(sections)


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
