from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.service.settings import PREFIX, ConnectionSettings


class ChaosSettings(ConnectionSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}CHAOS_")
    service: ClassVar[str] = "CHAOS"

    seed: int = Field(1, ge=0, le=2**31 - 1, description="The same seed: the same faults at the same times")
    seconds: float = Field(
        20.0, ge=5, le=86_400, description="How long the fleet sends under faults, seconds"
    )
    data: Path | None = Field(
        None,
        description="Where everything is kept; default: a new temporary directory, removed after a clean run",
    )
    rate: int = Field(1_000, ge=500, le=20_000, description="Readings a second, over all vehicles")
    writers: int = Field(3, ge=2, le=16, description="Ingest processes; the last one shares nothing")
    stall_limit_s: float = Field(
        60.0,
        gt=0,
        description="The drain ends when nothing more has landed or been priced for this long, seconds",
    )
    extra_fleets: int = Field(
        3, ge=0, description="Most fleets that send for 8 s more, while a kind of fault has not struck"
    )
    schedules: int = Field(
        1,
        ge=1,
        description="Runs that must be clean and see every kind of fault, seeds from `seed` upwards",
    )
    at_once: int = Field(1, ge=1, le=16, description="Runs at a time")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "error",
        validation_alias=f"{PREFIX}LOG_LEVEL",
        description="Lowest level logged here; the services log to DIR/logs",
    )
    as_json: bool = Field(False, description="One JSON object a line on stdout, the last one the verdict")
