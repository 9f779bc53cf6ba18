"""The simulator's settings, read from the environment variables `FLEETPRICE_SIMULATOR_…`."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings

MAX_PACK = 1_000  # a pack of the longest lines stays below the hub's 1 MiB an event (a test checks it)


class SimulatorSettings(ConnectionSettings):
    """Settings of the fleet, its rate, its event format and its record."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}SIMULATOR_")
    service: ClassVar[str] = "SIMULATOR"

    vehicles: int = Field(100, ge=1, le=1_000_000, description="Vehicles in the fleet")
    rate_hz: float = Field(1.0, gt=0, le=1_000, description="Readings of each vehicle, hertz")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Same seed: same fleet, same readings")
    seconds: float = Field(0.0, ge=0, description="How long the fleet sends, seconds; 0: until stopped")
    run_id: str = Field(
        "", description="Name of the run: a process restarted under the same name keeps the run's end"
    )
    pack: int = Field(
        1, ge=1, le=MAX_PACK, description="Readings an event; 1: single readings as application/json"
    )
    pack_format: Literal["ndjson", "arrow"] = Field(
        "ndjson", description="Body of a pack: lines of JSON, or an Arrow IPC stream"
    )
    linger_ms: float = Field(
        20.0, ge=0, description="How long a reading waits for its pack to fill, milliseconds"
    )
    tick_ms: float = Field(
        20.0, ge=0, description="How often due readings are gathered and sent, milliseconds"
    )
    bad_share: float = Field(0.0, ge=0, le=1, description="Bad bodies sent on purpose, per reading")
    data: Path = Field(
        Path(".fleetprice"), description="Folder whose `simulator` folder holds the record of what was sent"
    )
    host: str = Field("127.0.0.1", description="Address of health and metrics")
    metrics_port: int = Field(8082, ge=0, le=65535, description="Port of health and metrics; 0: any free one")
