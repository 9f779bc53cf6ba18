"""Addresses of Event Hubs and of checkpoints, for libraries that do not know a service's settings."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from azure.eventhub import parse_connection_string

from shared.service.settings import ConnectionSettings, require_address


@dataclass(frozen=True, slots=True)
class HubConnection:
    """The address of an Event Hubs namespace.

    The address is a connection string, or a host to sign in to with DefaultAzureCredential. Processes of one
    consumer group balance partitions every `balancing_interval_s`. A process that does not renew its claims
    for `ownership_expiry_s` loses its partitions.
    """

    address: str = field(repr=False)
    balancing_interval_s: float = 10.0
    ownership_expiry_s: float = 60.0

    @property
    def namespace(self) -> str:
        """The namespace's host, in the form that checkpoints use."""
        if "Endpoint=" not in self.address:
            return urlsplit(self.address if "://" in self.address else f"//{self.address}").hostname or ""
        return str(parse_connection_string(self.address).fully_qualified_namespace)

    @classmethod
    def from_settings(cls, settings: ConnectionSettings) -> Self:
        """Return the connection in `settings`. Raises SettingsError if no namespace is set."""
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
        """Return the connection to the checkpoints' account, by default the lake's account.

        Raises SettingsError if neither account is set.
        """
        field = "checkpoints" if settings.checkpoints.get_secret_value() else "storage"
        address = require_address(settings, field)
        return cls(address, settings.checkpoint_container)
