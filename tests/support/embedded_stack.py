"""The embedded Azure for a test: the real servers, in this process, on free ports, on a folder of its own."""

from dataclasses import dataclass
from pathlib import Path

import hypothesis

from services.emulator.event_hubs.server import EventHubsServer
from services.emulator.storage.server import StorageServer
from shared.lake.client import LakeConnection
from shared.service.settings import ConnectionSettings
from shared.streams.event_hubs.connection import CheckpointConnection, HubConnection

# The same examples in every run, however slow the machine; the fuzz target is where new ones are tried.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None)


hypothesis.settings.load_profile("same")


# The time that a test waits for what must happen: so long that on any machine only a defect exceeds it.
PATIENCE_S = 240.0


@dataclass(frozen=True)
class World:
    """Both servers, and the settings that name them."""

    hub: EventHubsServer
    storage: StorageServer
    data_dir: Path

    def settings(self, kind=ConnectionSettings, **values):
        """Return settings of a service that uses these servers and balances quickly."""
        return kind(
            **{
                "event_hubs": self.hub.connection_string,
                "storage": self.storage.connection_string,
                "balancing_interval_s": 1.0,
                "ownership_expiry_s": 5.0,
                **values,
            }
        )

    def connection(self, **values) -> HubConnection:
        return HubConnection.from_settings(self.settings(**values))

    @property
    def lake_connection(self) -> LakeConnection:
        return LakeConnection.from_settings(self.settings())

    @property
    def checkpoint_connection(self) -> CheckpointConnection:
        return CheckpointConnection.from_settings(self.settings())
