"""Settings of the scorer."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.errors import SettingsError
from shared.settings import WorldSettings

DEVELOPMENT_API_KEY = "fleetprice-dev-key"
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

# 1,000 predictions of the longest contents stay below the hub's limit of 1 MiB an event (a test holds it).
MAX_ROWS_LIMIT = 1_000


class ScorerSettings(WorldSettings):
    model_config = SettingsConfigDict(env_prefix="FLEETPRICE_SCORER_")
    service: ClassVar[str] = "SCORER"

    stream: bool = Field(True, description="Score the telemetry hub and publish to the predictions hub")
    http: bool = Field(True, description="Serve prices, health and metrics over HTTP")
    host: str = Field("127.0.0.1", description="Address that HTTP listens on")
    http_port: int = Field(8000, ge=0, le=65_535, description="Port that HTTP listens on; 0: any free one")
    api_keys: SecretStr = Field(
        SecretStr(DEVELOPMENT_API_KEY),
        description="Keys that callers send as `Authorization: Bearer KEY`, separated by commas",
    )
    max_body_bytes: int = Field(1_048_576, ge=1_024, description="Largest HTTP request body, bytes")
    version: str | None = Field(
        None, description="Version of the price model; none: the lake's champion, or else the shipped one"
    )
    output: Literal["auto", "ndjson", "arrow"] = Field(
        "auto", description="Bodies of predictions; auto: Arrow where the readings came as Arrow, else NDJSON"
    )
    max_rows: int = Field(500, ge=1, le=MAX_ROWS_LIMIT, description="Most predictions in one output event")
    max_events: int = Field(500, ge=1, description="Most source events taken in at once")
    prefetch: int = Field(1_000, ge=1, description="Source events held ready per partition")
    checkpoint_interval_s: float = Field(
        1.0, gt=0, description="How often the checkpoint blobs follow the output, seconds"
    )

    def accepted_keys(self) -> tuple[str, ...]:
        """The API keys; raises SettingsError for none, or for the development key beyond loopback."""
        keys = tuple(key for part in self.api_keys.get_secret_value().split(",") if (key := part.strip()))
        if not keys:
            raise SettingsError("FLEETPRICE_SCORER_API_KEYS names no key")
        if DEVELOPMENT_API_KEY in keys and self.host not in _LOOPBACK_HOSTS:
            raise SettingsError(
                f"FLEETPRICE_SCORER_API_KEYS holds the well-known development key while HTTP listens on "
                f"{self.host}: give keys of your own"
            )
        return keys
