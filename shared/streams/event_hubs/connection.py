"""Where Event Hubs is, as a value: libraries take this and no service's settings."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from azure.eventhub import parse_connection_string

from shared.service.settings import ConnectionSettings, require_address


@dataclass(frozen=True, slots=True)
class HubConnection:
    """An Event Hubs namespace: a connection string, or a host that DefaultAzureCredential signs in to.

    Processes of one consumer group balance partitions every `balancing_interval_s`; an owner that is silent
    for `ownership_expiry_s` loses its partitions.
    """

    address: str = field(repr=False)
    balancing_interval_s: float = 10.0
    ownership_expiry_s: float = 60.0

    @property
    def namespace(self) -> str:
        """The namespace's host, as checkpoints name it."""
        if "Endpoint=" not in self.address:
            return urlsplit(self.address if "://" in self.address else f"//{self.address}").hostname or ""
        return str(parse_connection_string(self.address).fully_qualified_namespace)

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Self:
        """Raise SettingsError if no namespace is set."""
        address = require_address(settings, "event_hubs")
        return cls(address, settings.balancing_interval_s, settings.ownership_expiry_s)


@dataclass(frozen=True, slots=True)
class CheckpointConnection:
    """The blob container of checkpoints and partition ownership.

    `address` is the account's connection string or its URL.
    """

    address: str = field(repr=False)
    container: str = "checkpoints"

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Self:
        """Use the lake's account unless another is set; raise SettingsError if neither is."""
        address = settings.checkpoints.get_secret_value() or require_address(settings, "storage")
        return cls(address, settings.checkpoint_container)
