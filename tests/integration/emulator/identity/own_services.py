"""Our services with settings that name a namespace and an account, and no key."""

import asyncio
import sys
from itertools import count

from azure.eventhub import EventData

from shared.lake.client import LakeConnection, open_lake
from shared.service.credentials import close_credential
from shared.service.settings import ConnectionSettings, read_settings
from shared.streams.event_hubs.checkpoint_store import checkpoint_store
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection
from shared.streams.event_hubs.messages import read_body
from shared.streams.event_hubs.partition_events import partition_events
from shared.streams.event_hubs.sender import PartitionSender


async def tour(settings):
    numbers = count()
    connection = HubConnection.from_settings(settings)
    async with PartitionSender(connection, "telemetry", "0", lambda _event: next(numbers)) as sender:
        await sender.send([EventData("sent with a token")])
    consumer = consumer_client(connection, "telemetry", "ingest")
    async with (
        consumer,
        open_lake(LakeConnection.from_settings(settings)) as lake,
        checkpoint_store(CheckpointConnection.from_settings(settings)) as store,
    ):
        async for batch in partition_events(consumer, "0", until=0):
            await lake.write("from/hub", b"".join(map(read_body, batch)))
        assert await lake.create_if_absent("from/lake", b"")
        checkpoint = {
            "fully_qualified_namespace": "127.0.0.1",
            "eventhub_name": "telemetry",
            "consumer_group": "ingest",
            "partition_id": "0",
            "sequence_number": 0,
            "offset": "0",
        }
        await store.update_checkpoint(checkpoint)
        sys.stdout.write((await lake.read("from/hub")).decode())
    await close_credential()


asyncio.run(tour(read_settings(ConnectionSettings)))
