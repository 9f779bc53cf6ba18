"""The embedded Azure for a test: the real servers, in this process, on free ports, on a folder of its own."""

import gc
import warnings
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer
from shared.lake.client import open_lake
from shared.service.settings import ConnectionSettings

# The same examples in every run, however slow the machine; the fuzz target is where new ones are tried.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("same")

# How long a test waits for what must come: long, since only what is broken takes so long on any machine.
PATIENCE_S = 240.0


@dataclass(frozen=True)
class World:
    """Both servers, and the settings that name them."""

    hub: EventHubsServer
    storage: StorageServer
    data_dir: Path

    def settings(self, kind=ConnectionSettings, **values):
        """Settings of a service that point here, balancing quickly."""
        return kind(
            **{
                "event_hubs": self.hub.connection_string,
                "storage": self.storage.connection_string,
                "balancing_interval_s": 1.0,
                "ownership_expiry_s": 5.0,
                **values,
            }
        )


@pytest.fixture
async def world(tmp_path):
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(EventHubsServer(tmp_path))
        storage = await stack.enter_async_context(StorageServer(tmp_path))
        yield World(hub, storage, tmp_path)
    # The SDK leaves the socket of a connection that the server closed to the collector, which would complain
    # in whatever test it happens to run.
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
    """The lake in it, as our services reach it."""
    async with open_lake(ConnectionSettings(storage=storage.connection_string)) as opened:
        yield opened
