"""A sender and a reader that are quiet for longer than their tokens live."""

import asyncio
import sys
from itertools import count

import structlog
from azure.eventhub import EventData
from azure.eventhub.exceptions import AuthenticationError

from shared.service.credentials import close_credential
from shared.service.settings import ConnectionSettings, read_settings
from shared.streams.event_hubs.clients import consumer_client, producer_client
from shared.streams.event_hubs.connection import HubConnection
from shared.streams.event_hubs.messages import read_body
from shared.streams.event_hubs.partition_events import partition_events
from shared.streams.event_hubs.sender import PartitionSender

_QUIET_S = float(sys.argv[1])


async def read(connection):
    async with consumer_client(connection, "telemetry", "$Default") as client:
        async for batch in partition_events(client, "0", until=1):
            for event in batch:
                sys.stdout.write(read_body(event).decode() + "\n")


async def tour(connection):
    numbers = count()
    control = producer_client(connection, "telemetry")
    await control.open_partition("1")
    async with PartitionSender(connection, "telemetry", "0", lambda _event: next(numbers)) as sender:
        reading = asyncio.create_task(read(connection))
        for body in ("before", "after"):
            await sender.send([EventData(body)])
            if body == "before":
                await asyncio.sleep(_QUIET_S)  # what is awaited is the end of a token's life
        await reading
    try:
        await control.send_event(EventData("late"), partition_id="1")
    except AuthenticationError as error:
        sys.stdout.write("Expired" if "Expired" in str(error) else str(error))
    await control.close()
    await close_credential()


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(tour(HubConnection.from_settings(read_settings(ConnectionSettings))))
