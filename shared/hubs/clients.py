"""Clients of the unmodified azure-eventhub SDK, made from settings, and what is read off its events."""

import sys
from datetime import UTC, datetime
from typing import Any, cast

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
    if _is_connection_string(world):
        client = SingleSendProducerClient.from_connection_string(world, eventhub_name=hub, retry_total=0)
        return cast("SingleSendProducerClient", client)
    return SingleSendProducerClient(world, hub, credential=process_credential(), retry_total=0)


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
