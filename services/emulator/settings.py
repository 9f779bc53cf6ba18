"""The emulator's settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.emulator.event_hubs.sas import DEVELOPMENT_KEY, DEVELOPMENT_KEY_NAME
from services.emulator.event_hubs.throughput_bucket import MAX_UNITS
from services.emulator.log.durability import Durability
from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT, WELL_KNOWN_KEY
from services.emulator.tls.certificate import Certificate, own_certificate
from shared.service.addresses import is_loopback
from shared.service.errors import SettingsError
from shared.service.settings import PREFIX, ConnectionSettings

_HIDDEN = "***"
# Offset of each listener's port from --port-base.
_PORT_OFFSETS = {"event_hubs": 0, "event_hubs_tls": 1, "event_hubs_ws": 2, "storage": 3, "admin": 4}


class EmulatorSettings(ConnectionSettings):
    """Settings of the emulator. Each can also be given as a command-line flag."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}EMULATOR_")
    service: ClassVar[str] = "EMULATOR"

    data: Path = Field(Path(".fleetprice"), description="Data directory")
    config: Path | None = Field(
        None, description="Config.json of Microsoft's Event Hubs emulator: its hubs are created at the start"
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; beyond loopback only with keys of your own"
    )
    event_hubs_port: int = Field(5672, ge=0, le=65535, description="Event Hubs, AMQP; 0: any free port")
    event_hubs_tls_port: int = Field(
        5671, ge=0, le=65535, description="Event Hubs, AMQP over TLS; 0: any free port"
    )
    event_hubs_ws_port: int = Field(
        5673, ge=0, le=65535, description="Event Hubs, AMQP over websockets (ws, wss); 0: any free port"
    )
    storage_port: int = Field(
        10000, ge=0, le=65535, description="Blob and Data Lake (http, https); 0: any free port"
    )
    admin_port: int = Field(5300, ge=0, le=65535, description="Health, hubs and faults; 0: any free port")
    port_base: int | None = Field(
        None,
        ge=0,
        le=65500,
        description="First of a block of ports for the listeners whose port is not set; 0: any free ports",
    )
    as_json: bool = Field(
        False, description="Write one JSON line to stdout once every listener accepts connections"
    )
    tls: bool = Field(True, description="Serve TLS, wss and https too")
    tls_certificate: Path | None = Field(
        None, description="Certificate chain to serve, PEM; none: a generated one, in DIR/tls"
    )
    tls_key: Path | None = Field(None, description="Key of that certificate, PEM")
    key_name: str = Field(DEVELOPMENT_KEY_NAME, min_length=1, description="Name of the Event Hubs key")
    key: SecretStr = Field(SecretStr(DEVELOPMENT_KEY), description="Event Hubs key")
    storage_account: str = Field(WELL_KNOWN_ACCOUNT, min_length=1, description="Name of the storage account")
    storage_key: SecretStr = Field(SecretStr(WELL_KNOWN_KEY), description="Storage account key, base64")
    durability: Durability = Field(
        Durability.WRITE,
        description="When an event is stored: after write(), or after an fdatasync per interval or per batch",
    )
    sync_interval_s: float = Field(1.0, gt=0, description="Time between fdatasyncs with 'interval', seconds")
    retention_bytes: int = Field(
        1 << 30, ge=1 << 20, description="Max size of a partition, bytes; the oldest events are deleted first"
    )
    segment_bytes: int = Field(
        64 << 20, ge=1 << 16, description="Size of a partition's files, bytes; retention deletes whole files"
    )
    throughput_units: float | None = Field(
        None,
        gt=0,
        le=MAX_UNITS,
        description="Throttle to this many units of 1 MB/s or 1,000 events/s; none: no limit",
    )

    def resolve_port(self, listener: str) -> int:
        """Return the port of a listener (`event_hubs`, `storage`, …); 0 means any free port.

        A port that was set wins over the base port, of which 0 means any free port for every listener.
        """
        name = f"{listener}_port"
        if self.port_base is None or name in self.model_fields_set:
            port: int = getattr(self, name)
            return port
        return self.port_base + _PORT_OFFSETS[listener] if self.port_base else 0

    def certificate(self) -> Certificate | None:
        """Return the certificate for TLS clients, or None if TLS is off.

        Raises SettingsError if only one of certificate and key is set.
        """
        if not self.tls:
            return None
        if self.tls_certificate is not None and self.tls_key is not None:
            return Certificate(ca=self.tls_certificate, chain=self.tls_certificate, key=self.tls_key)
        if self.tls_certificate is not None or self.tls_key is not None:
            raise SettingsError(
                f"{PREFIX}EMULATOR_TLS_CERTIFICATE and {PREFIX}EMULATOR_TLS_KEY must both be set"
            )
        return own_certificate(self.data / "tls", self.host)

    def hide_secrets(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """Return the addresses as they may be shown on stdout, which ends in a container's log.

        Keys that are not the well-known ones are replaced by `***`; beyond loopback, the identity header too.
        """
        shown = dict(addresses)
        for key, well_known in ((self.key, DEVELOPMENT_KEY), (self.storage_key, WELL_KNOWN_KEY)):
            secret = key.get_secret_value()
            if secret != well_known:
                for name, text in shown.items():
                    shown[name] = text.replace(f"Key={secret}", f"Key={_HIDDEN}")
        if not self.is_on_loopback:
            shown["identity_header"] = _HIDDEN
        return shown

    @property
    def is_on_loopback(self) -> bool:
        return is_loopback(self.host)

    def refuse_known_keys_beyond_loopback(self) -> None:
        """Check the keys.

        Raises SettingsError if the emulator would listen beyond loopback with a published key.
        """
        if self.is_on_loopback:
            return
        if self.key.get_secret_value() == DEVELOPMENT_KEY:
            raise SettingsError(
                f"listening on {self.host} needs a key of your own: set {PREFIX}EMULATOR_KEY, "
                "or stay on 127.0.0.1"
            )
        if self.storage_key.get_secret_value() == WELL_KNOWN_KEY:
            raise SettingsError(
                f"listening on {self.host} needs a key of your own: set {PREFIX}EMULATOR_STORAGE_KEY, "
                "or stay on 127.0.0.1"
            )
