import pytest

from shared.lake.client import open_lake
from shared.streams.event_hubs.clients import consumer_client, read_created_at
from tests.support.letter_desk import Desk


@pytest.fixture
async def desk(world):
    async with consumer_client(world.connection(), "telemetry", "$Default") as client:
        created_at = (await read_created_at(client)).isoformat().replace("+00:00", "Z")
    async with open_lake(world.lake_connection) as lake:
        yield Desk(world, lake, created_at)
