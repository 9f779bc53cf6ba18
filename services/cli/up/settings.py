from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings


class UpSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}UP_")
    service: ClassVar[str] = "UP"

    data: Path = Field(Path(".fleetprice"), description="Where everything is kept between runs")
    vehicles: int = Field(200, ge=1, le=1_000_000, description="Vehicles of the simulated fleet")
    rate_hz: float = Field(1.0, gt=0, le=1_000, description="Readings of each vehicle, hertz")
    pack: int = Field(1, ge=1, le=500, description="Readings in one event; 1: single JSON")
    seconds: float | None = Field(
        None, gt=0, description="How long the fleet sends, seconds; then up drains, verifies and ends"
    )
    seed: int = Field(7, ge=0, lt=2**31, description="The same seed gives the same fleet and readings")
    port_base: int | None = Field(
        None, ge=0, le=65_000, description="Lay out all ports from this one; 0: any free ones"
    )
    as_json: bool = Field(False, description="JSON lines on stdout, nothing else there")
    hub_bytes: int = Field(
        2 << 30,
        ge=64 << 20,
        description="Maximum size of the hubs' logs on disk, bytes; the oldest events go first",
    )
    start_limit_s: float = Field(60.0, gt=0, description="Longest wait for everything to answer, seconds")
    drain_limit_s: float = Field(
        60.0, gt=0, description="Longest wait for the readers to catch up at the end of a run, seconds"
    )
    interrupt_limit_s: float = Field(
        4.0, gt=0, description="Longest wait for the readers to catch up after Ctrl-C, seconds"
    )
