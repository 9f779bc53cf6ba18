import gc
import warnings
from contextlib import AsyncExitStack

import pytest

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer
from shared.lake.client import LakeConnection, open_lake
from tests.support.embedded_stack import World


@pytest.fixture
async def world(tmp_path):
    """Event Hubs and storage."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(EventHubsServer(tmp_path))
        storage = await stack.enter_async_context(StorageServer(tmp_path))
        yield World(hub, storage, tmp_path)
    # The SDK leaves the socket of a connection that the server closed to the garbage collector, which would
    # warn in a later test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
async def storage(tmp_path):
    """Storage alone."""
    async with StorageServer(tmp_path) as server:
        yield server


@pytest.fixture
async def lake(storage):
    """The lake in the storage, opened as our services open it."""
    async with open_lake(LakeConnection(storage.connection_string)) as opened:
        yield opened
